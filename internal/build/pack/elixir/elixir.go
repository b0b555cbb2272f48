// Package elixir builds Mix projects into releases: the image holds the
// release, which brings its own Erlang, and nothing of the compiler.
package elixir

import (
	"io/fs"
	"regexp"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "elixir".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "elixir" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"mix.exs"} }

// lines are the Elixirs of Debian's suites, the default first.
var lines = []plan.Line{{Version: "1.14", Suite: plan.Bookworm}, {Version: "1.18", Suite: plan.Trixie}}

// app is a detected app.
type app struct {
	line     plan.Line
	asked    plan.Asked
	release  string // name of the release
	deps     bool   // there is something to fetch
	locked   bool
	phoenix  bool
	deploy   bool // mix.exs has the alias assets.deploy
	mix      bool // the Procfile runs mix, so that the image needs it
	node     *node.Tool
	digested bool
}

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	data, ok, err := plan.ReadFile(tree, "mix.exs")
	if err != nil || !ok {
		return nil, err
	}
	a := &app{locked: plan.Has(tree, "mix.lock")}
	if err := a.read(tree, string(data)); err != nil {
		return nil, err
	}
	if a.node, err = node.Beside(subtree(tree, "assets")); err != nil {
		return nil, err
	}
	procs := map[string]stead.Command{"web": {"/app/bin/" + a.release, "start"}}
	if a.mix {
		delete(procs, "web")
	}
	d := &plan.Detected{Pack: "elixir", Summary: a.summary(), Processes: procs, LLB: a.plan}
	if a.node != nil {
		d.Notes = append(d.Notes, "packages of assets/package.json are installed by npm for assets.deploy")
	}
	return d, nil
}

func subtree(tree fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(tree, dir)
	if err != nil {
		return tree
	}
	return sub
}

var (
	appName     = regexp.MustCompile(`(?m)^\s*app:\s*:([a-z][a-z0-9_]{0,63})\b`)
	releaseName = regexp.MustCompile(`(?ms)^\s*(?:def(?:p)? )?releases(?::|\(?\)?,? do)\s*\[?\s*\[?\s*([a-z][a-z0-9_]{0,63}):`)
	elixirLine  = regexp.MustCompile(`(?m)^\s*elixir:\s*"([^"\n]{1,60})"`)
	dependency  = regexp.MustCompile(`(?m)^\s*\{:[a-z0-9_]+,`)
	umbrella    = regexp.MustCompile(`(?m)^\s*apps_path:\s*"`)
)

func (a *app) read(tree fs.FS, mix string) (err error) {
	switch m := appName.FindStringSubmatch(mix); {
	case releaseName.MatchString(mix):
		a.release = releaseName.FindStringSubmatch(mix)[1]
	case m != nil:
		a.release = m[1]
	case umbrella.MatchString(mix):
		return stead.Invalid("mix.exs", "this is an umbrella project without a release: nothing says which of its apps to run",
			"name a release in mix.exs: releases: [web: [applications: [my_web: :permanent]]]")
	default:
		return stead.Invalid("mix.exs", "mix.exs does not name the app", "write app: :name in its project")
	}
	asked, err := plan.AskedIn(tree, []string{".elixir-version"}, []string{"elixir"})
	if err != nil {
		return err
	}
	a.asked = asked
	if bp, ok, err := plan.ReadFile(tree, "elixir_buildpack.config"); err == nil && ok && a.asked.Version == "" {
		if m := regexp.MustCompile(`(?m)^elixir_version=["']?([0-9.]+)`).FindSubmatch(bp); m != nil {
			a.asked = plan.Asked{Version: string(m[1]), From: "elixir_buildpack.config"}
		}
	}
	a.asked.Version, _, _ = strings.Cut(a.asked.Version, "-otp-")
	if m := elixirLine.FindStringSubmatch(mix); m != nil && a.asked.Version == "" {
		a.asked = plan.Asked{Version: strings.ReplaceAll(strings.ReplaceAll(m[1], " or ", "||"), " and ", " "), From: "mix.exs"}
	}
	if a.line, err = plan.Choose("Elixir", lines, a.asked); err != nil {
		return err
	}
	a.deps = dependency.MatchString(mix)
	a.phoenix = strings.Contains(mix, "{:phoenix,")
	a.deploy = strings.Contains(mix, `"assets.deploy"`)
	procfile, _, err := plan.ReadFile(tree, "Procfile")
	a.mix = regexp.MustCompile(`(?m)^web:.*\b(mix|iex|elixir)\b`).Match(procfile)
	return err
}

func (a *app) summary() string {
	s := "Elixir " + a.line.Version
	if a.asked.From != "" {
		s += " (" + a.asked.From + ")"
	}
	if a.phoenix {
		s += ", Phoenix"
	}
	if a.mix {
		return s + ", run by mix"
	}
	return s + ", release " + a.release
}

// packages are Erlang's applications that apps commonly use.
func (a *app) packages() []string {
	return []string{"elixir", "erlang-dev", "erlang-parsetools", "erlang-tools", "erlang-inets", "erlang-ssl", "erlang-xmerl", "erlang-os-mon",
		"erlang-runtime-tools", "erlang-syntax-tools", "erlang-eunit", "erlang-crypto", "erlang-public-key", "erlang-asn1", "erlang-mnesia", "rebar3"}
}

const (
	fetchScript   = `set -e; mix local.hex --force --if-missing; mix deps.get --only prod; mix deps.compile`
	compileScript = `set -e
mix compile
if [ "$DEPLOY" = 1 ]; then mix assets.deploy; fi
if [ "$MIX" = 1 ]; then cp -a . /out/; else mix release "$RELEASE" --overwrite --path /out || mix release --overwrite --path /out; fi`
)

func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	tool := in.Install(in.Build, a.line.Suite, "Elixir "+a.line.Version, a.packages()...).Dir("/app")
	st := tool
	if a.deps {
		st = plan.CopyAppFiles(st, in.Source, "/app", "copy the lists of packages", "mix.exs", "mix.lock", "config", "deps", "apps/*/mix.exs", "apps/*/config")
		st = st.Run(a.step(in, "mix deps.get", fetchScript)).Root()
	}
	if a.node != nil {
		var err error
		assets := in
		assets.Source = llb.Scratch().File(llb.Copy(in.Source, "/assets", "/", &llb.CopyInfo{CopyDirContentsOnly: true}), llb.WithCustomName("[internal] assets"))
		packages, err := a.node.Installed(assets, in.Build.Dir("/app"))
		if err != nil {
			return plan.Output{}, err
		}
		st = plan.CopyApp(st, packages, "/app/node_modules", "/app/assets/node_modules", "copy packages of the assets")
	}
	st = plan.CopyApp(st, in.Source, "/", "/app", "copy the source", ".git", "_build", "assets/node_modules", "priv/static/assets")
	opts := []llb.RunOption{a.step(in, "mix release", compileScript), plan.Env("RELEASE", a.release)}
	if a.deploy {
		opts = append(opts, plan.Env("DEPLOY", "1"))
	}
	if a.node != nil {
		opts = append(opts, a.node.Mounted(in))
	}
	run := in.Run
	if a.mix {
		opts = append(opts, plan.Env("MIX", "1"))
		run = in.Install(run, a.line.Suite, "Elixir "+a.line.Version, a.packages()...)
	} else {
		run = in.Install(run, a.line.Suite, "libraries of Erlang", "libncurses6", "libtinfo6", "libstdc++6", "libsctp1")
	}
	made := plan.Made(st.Run(plan.Options(opts...)), "/out")
	run = plan.CopyApp(run, made, "/", "/app", "copy the app")
	return plan.Output{State: run, Config: plan.Image([]string{"/app/bin"}, a.environment()...)}, nil
}

func (a *app) environment() []string {
	env := []string{"MIX_ENV=prod", "LANG=C.UTF-8", "RELEASE_TMP=/tmp", "RELEASE_DISTRIBUTION=none"}
	if a.phoenix {
		env = append(env, "PHX_SERVER=true")
	}
	if a.mix {
		env = append(env, "MIX_HOME=/app/.mix", "HEX_HOME=/app/.hex")
	}
	return env
}

func (a *app) step(in plan.Inputs, title, script string) llb.RunOption {
	path := ""
	if a.node != nil {
		path = a.node.Path()
	}
	return plan.Options(in.Step(title, path, "/bin/sh", "-c", script, "mix"), plan.Env("MIX_ENV", "prod"), plan.Env("LANG", "C.UTF-8"),
		in.Cache("hex", "/cache/hex"), plan.Env("HEX_HOME", "/cache/hex"), plan.Env("MIX_HOME", "/app/.mix"), plan.Env("MIX_REBAR3", "/usr/bin/rebar3"),
		in.Mirrored(build.MirrorHex))
}
