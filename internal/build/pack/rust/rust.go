// Package rust builds Cargo packages and workspaces with Debian's Rust. What
// Cargo downloads and compiles of other people's is kept between builds; the
// image holds the programs and the app's other files.
package rust

import (
	"io/fs"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "rust".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "rust" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"Cargo.toml"} }

// lines are the Rusts of Debian's suites, oldest first.
var lines = []plan.Line{{Version: "1.63", Suite: plan.Bookworm}, {Version: "1.85", Suite: plan.Bookworm}, {Version: "1.96", Suite: plan.Trixie}}

// preferred is the index of the default in lines.
const preferred = 1

// packages of a line: Debian keeps a newer Rust for browsers beside its own.
func packages(l plan.Line) []string {
	if l == lines[0] {
		return []string{"rustc", "cargo"}
	}
	return []string{"rustc-web", "cargo-web"}
}

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	procs := map[string]stead.Command{}
	for _, name := range []string{"web", "worker", "release"} {
		if a.bin(name) {
			procs[name] = stead.Command{"/app/bin/" + name}
		}
	}
	switch {
	case procs["web"] != nil:
	case a.bin("server"):
		procs["web"] = stead.Command{"/app/bin/server"}
	case len(a.bins) == 1 && len(procs) == 0 || a.bin(a.name):
		name := a.name
		if !a.bin(name) {
			name = a.bins[0]
		}
		procs["web"] = stead.Command{"/app/bin/" + name}
	case !plan.Has(tree, "Procfile") && procs["worker"] == nil:
		return nil, stead.Invalid("Procfile", "there are several programs, and nothing says which one serves the web",
			"add a Procfile, such as \"web: "+plan.Plain(a.bins[0])+"\", or name one of them web")
	}
	return &plan.Detected{Pack: "rust", Summary: a.summary(), Processes: procs, Notes: a.notes, LLB: a.plan}, nil
}

func (a *app) summary() string {
	s := "Rust " + a.line.Version
	if a.asked.From != "" {
		s += " (" + a.asked.From + ")"
	}
	if a.vendored {
		s += ", vendored"
	}
	if len(a.bins) == 1 {
		return s + ", program " + a.bins[0]
	}
	s += ", programs"
	for _, b := range a.bins {
		s += " " + b
	}
	return plan.Plain(s)
}

// compile builds every program and takes them out of the cache. Cargo tells
// what changed by time; the times of a pushed tree mean nothing, so all of the
// app's own files count as new. Packages of others are known by their version.
const compile = `set -e
find . -name '*.rs' -exec touch {} +
export CARGO_BUILD_TARGET_DIR=/cache/target
cargo build --release $LOCKED $OFFLINE --bins "$@"
for b in $BINS; do
  if [ -x "/cache/target/release/$b" ]; then install -m 0755 "/cache/target/release/$b" /out/; fi
done
ls /out | grep -q . || { echo "cargo built no program" >&2; exit 1; }`

func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	tool := in.Install(in.Build, a.line.Suite, "Rust "+a.line.Version, packages(a.line)...)
	bins := ""
	for _, b := range a.bins {
		bins += " " + b
	}
	opts := []llb.RunOption{in.Step("cargo build --release", "", "/bin/sh", "-c", compile, "cargo"), llb.Dir("/src"), in.Work("/src"),
		in.Cache("cargo-"+a.line.Version, "/cache"), plan.Env("CARGO_HOME", "/cache/home"), plan.Env("CARGO_TERM_COLOR", "never"), plan.Env("BINS", bins),
		plan.Env("CARGO_NET_RETRY", "3"), plan.Env("CARGO_INCREMENTAL", "0"), in.Mirrored(build.MirrorCrates)}
	if a.locked {
		opts = append(opts, plan.Env("LOCKED", "--locked"))
	}
	if a.vendored {
		opts = append(opts, plan.Env("OFFLINE", "--offline"))
	}
	bin := plan.Made(tool.Run(plan.Options(opts...)), "/out")
	st := in.Run
	if a.line.Suite != plan.Bookworm { // programs want the C library that they were linked with
		st = in.Install(st, a.line.Suite, "the C library of "+a.line.Suite, "libc6", "libgcc-s1")
	}
	st = plan.CopyApp(st, in.Source, "/", "/app", "copy the app's files", ".git", "vendor", "target", "**/*.rs", "Cargo.toml", "Cargo.lock", ".cargo")
	st = plan.CopyApp(st, bin, "/", "/app/bin", "copy programs to /app/bin")
	if a.release { // Procfiles of Heroku's Rust buildpacks say target/release/NAME
		st = st.File(llb.Mkdir("/app/target", 0o755, llb.WithUIDGID(plan.AppUser, plan.AppUser)).Symlink("../bin", "/app/target/release"), llb.WithCustomName("link target/release"))
	}
	return plan.Output{State: st, Config: plan.Image([]string{"/app/bin"}, "ROCKET_ADDRESS=0.0.0.0")}, nil
}
