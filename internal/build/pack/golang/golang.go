// Package golang builds Go modules. The toolchain is the module
// golang.org/toolchain, by the version that go.mod asks for; the compiler's and
// the modules' caches outlive builds.
package golang

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "go".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "go" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"go.mod", "go.work"} }

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	m, err := readModule(tree)
	if err != nil || m == nil {
		return nil, err
	}
	mains, err := findMains(tree, m)
	if err != nil {
		return nil, err
	}
	procs, err := processes(tree, mains)
	if err != nil {
		return nil, err
	}
	d := &plan.Detected{Pack: "go", Processes: procs, Notes: m.notes, Summary: summary(m, mains)}
	d.LLB = func(in plan.Inputs) (plan.Output, error) { return planned(in, m.toolchain, mains) }
	return d, nil
}

func summary(m *module, mains []command) string {
	s := "Go " + m.toolchain + " (" + m.from + ")"
	if m.vendored {
		s += ", vendored"
	}
	if len(mains) == 1 {
		return s + ", main package " + plan.Plain(mains[0].pkg)
	}
	names := make([]string, len(mains))
	for i, c := range mains {
		names[i] = c.pkg
	}
	return s + ", main packages " + plan.Plain(strings.Join(names, " "))
}

// processes tells what runs by default: a main package named as a process type
// is that process. The web process is "web", else the module's root, else
// "server", else the only one there is. The platform starts the web process
// alone; the others are there to be scaled up.
func processes(tree fs.FS, mains []command) (map[string]stead.Command, error) {
	procs := map[string]stead.Command{}
	for _, c := range mains {
		if stead.CheckProcessType("process", c.name) == nil && c.pkg != "." {
			procs[c.name] = c.start()
		}
	}
	if procs["web"] != nil {
		return procs, nil
	}
	i := slices.IndexFunc(mains, func(c command) bool { return c.pkg == "." })
	if i < 0 {
		i = slices.IndexFunc(mains, func(c command) bool { return c.name == "server" })
	}
	if i < 0 && len(mains) == 1 && mains[0].name != "worker" && mains[0].name != stead.ProcessRelease {
		i = 0
	}
	if i >= 0 {
		delete(procs, mains[i].name)
		procs["web"] = mains[i].start()
		return procs, nil
	}
	if !plan.Has(tree, "Procfile") && procs["worker"] == nil {
		return nil, stead.Invalid("Procfile", "there are several main packages, and nothing says which one serves the web",
			"add a Procfile, such as \"web: "+plan.Plain(mains[0].name)+"\", or name one of them cmd/web")
	}
	return procs, nil
}

// Build compiles packages of src, a module's tree, and returns a state that
// holds the programs at /.
func Build(in plan.Inputs, src llb.State, version string, pkgs ...string) (llb.State, error) {
	tool, err := Toolchain(in, version)
	if err != nil {
		return llb.State{}, err
	}
	argv := append(goBuild("-o", "/out/", "--"), pkgs...)
	run := in.Build.Dir("/src").Run(
		in.Step("go build", "/opt/go/bin", argv...), toolEnv(in), cgo(in),
		in.Cache("go-mod", "/cache/mod"), in.CacheFrom(standard(in, tool), "go-build", "/cache/build"),
		llb.AddMount("/opt/go", tool, llb.Readonly), llb.AddMount("/src", src, llb.Readonly),
	)
	return plan.Made(run, "/out"), nil
}

func goBuild(more ...string) []string {
	return append([]string{"/opt/go/bin/go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}, more...)
}

func toolEnv(in plan.Inputs) llb.RunOption {
	return plan.Options(plan.Env("GOTOOLCHAIN", "local"), plan.Env("GOPROXY", publicProxy), in.Mirrored(plan.MirrorGo, build.MirrorGoSum),
		plan.Env("GOMODCACHE", "/cache/mod"), plan.Env("GOCACHE", "/cache/build"))
}

// standard is a compiler's cache that knows the standard library, as far as
// web apps use it. It is made once for a version of Go; every app's own cache
// begins as a copy of it.
func standard(in plan.Inputs, tool llb.State) llb.State {
	argv := goBuild("--", "archive/zip", "compress/gzip", "database/sql", "embed", "encoding/csv", "encoding/xml", "expvar",
		"html/template", "log/slog", "math/big", "net/http", "net/http/httputil", "net/smtp", "os/exec", "os/signal", "text/template")
	run := in.Build.Dir("/tmp").Run(plan.Tool("compile Go's standard library", "/opt/go/bin", argv...),
		toolEnv(in), plan.Env("CGO_ENABLED", "0"), llb.AddMount("/opt/go", tool, llb.Readonly))
	return run.AddMount("/cache/build", llb.Scratch())
}

// cgo is off, unless the app's config decides it.
func cgo(in plan.Inputs) llb.RunOption {
	if _, set := in.BuildEnv["CGO_ENABLED"]; set {
		return plan.Options()
	}
	return plan.Env("CGO_ENABLED", "0")
}

func planned(in plan.Inputs, version string, mains []command) (plan.Output, error) {
	pkgs := make([]string, len(mains))
	for i, c := range mains {
		pkgs[i] = c.pkg
	}
	bin, err := Build(in, in.Source, version, pkgs...)
	if err != nil {
		return plan.Output{}, err
	}
	st := plan.CopyApp(in.Run, in.Source, "/", "/app", "copy the app's files", ".git", "vendor", "**/*.go", "go.mod", "go.sum", "go.work", "go.work.sum")
	st = plan.CopyApp(st, bin, "/", "/app/bin", "copy programs to /app/bin")
	return plan.Output{State: st, Config: plan.Image([]string{"/app/bin"})}, nil
}

// command is one main package.
type command struct {
	pkg  string // "." or "./cmd/web"
	name string // of the program
}

func (c command) start() stead.Command { return stead.Command{path.Join("/app/bin", c.name)} }
