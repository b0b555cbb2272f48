// Package ruby builds Ruby apps with Bundler: what Gemfile.lock lists is a
// layer of its own, Rails compiles its assets, and what serves is Puma unless
// the app has another server.
package ruby

import (
	"io/fs"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "ruby".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "ruby" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"Gemfile", "config.ru"} }

// lines are the Rubies of Debian's suites, the default first.
var lines = []plan.Line{{Version: "3.1", Suite: plan.Bookworm}, {Version: "3.3", Suite: plan.Trixie}}

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	procs := map[string]stead.Command{}
	if c := a.start(tree); c != nil {
		procs["web"] = c
	} else if !plan.Has(tree, "Procfile") {
		return nil, stead.Invalid("Procfile", "nothing says how to start this app: there is no config.ru, no Rails, no app.rb, server.rb or main.rb and no Procfile",
			"add a Procfile, such as \"web: bundle exec ruby app.rb\"")
	}
	if a.has("sidekiq") {
		procs["worker"] = stead.Command{"bundle", "exec", "sidekiq"}
	}
	if a.rails {
		if a.node, err = node.Beside(tree); err != nil {
			return nil, err
		}
	}
	d := &plan.Detected{Pack: "ruby", Summary: a.summary(), Processes: procs, Notes: a.notes, LLB: a.plan}
	if a.node != nil {
		d.With = []string{"node"}
	}
	return d, nil
}

func (a *app) summary() string {
	s := "Ruby " + a.line.Version
	if a.asked.From != "" {
		s += " (" + a.asked.From + ")"
	}
	switch {
	case a.rails:
		s += ", Rails"
	case a.rack:
		s += ", Rack"
	}
	if a.lock {
		s += ", Gemfile.lock"
	}
	return s
}

// plan is the image: Ruby, the gems, the app's own files, in this order, from
// what changes least to what changes most.
func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	run := in.Install(in.Run, a.line.Suite, "Ruby "+a.line.Version, append(a.packages(), a.runLibraries()...)...)
	gems, err := a.gems(in)
	if err != nil {
		return plan.Output{}, err
	}
	st := run
	if a.bundle {
		st = plan.CopyApp(st, gems, bundlePath, bundlePath, "copy installed gems", "**/cache/*.gem", "**/ext/**/*.o")
	}
	own, dir := in.Source, "/"
	if a.assets {
		if own, err = a.compiled(in, gems); err != nil {
			return plan.Output{}, err
		}
		dir = "/app"
	}
	st = plan.CopyApp(st, own, dir, "/app", "copy the app", ".git", "vendor/bundle", "node_modules", "tmp/cache", "log/*.log")
	return plan.Output{State: st, Config: plan.Image([]string{"/app/bin", bundlePath + "/bin"}, a.environment()...)}, nil
}

const bundlePath = "/app/vendor/bundle"

// environment is that of Heroku's Ruby apps, and where Bundler finds the gems.
func (a *app) environment() []string {
	env := []string{"LANG=C.UTF-8", "RACK_ENV=production", "BUNDLE_PATH=" + bundlePath, "BUNDLE_BIN=" + bundlePath + "/bin",
		"BUNDLE_WITHOUT=development:test", "BUNDLE_APP_CONFIG=/tmp/.bundle", "MALLOC_ARENA_MAX=2"}
	if a.lock {
		env = append(env, "BUNDLE_DEPLOYMENT=1")
	}
	if a.rails {
		env = append(env, "RAILS_ENV=production", "RAILS_LOG_TO_STDOUT=1", "RAILS_SERVE_STATIC_FILES=1")
	}
	return env
}

// packages are what an app needs to run at all.
func (a *app) packages() []string {
	out := []string{"ruby", "ruby-bundler"}
	if a.rack && !a.server() {
		out = append(out, "puma")
	}
	return out
}

// gems is the build image with the gems in bundlePath. The step depends on the
// files that list them, and on no other.
func (a *app) gems(in plan.Inputs) (llb.State, error) {
	st := in.Install(in.Build, a.line.Suite, "Ruby "+a.line.Version+" with its headers", append(append(a.packages(), "ruby-dev"), a.buildLibraries()...)...).Dir("/app")
	if !a.bundle {
		return st, nil
	}
	if a.whole {
		st = plan.CopyApp(st, in.Source, "/", "/app", "copy the source", ".git", "vendor/bundle")
	} else {
		st = plan.CopyAppFiles(st, in.Source, "/app", "copy the lists of gems", a.lists...)
	}
	return a.run(in, st, "bundle install", "bundle", "install"), nil
}

func (a *app) run(in plan.Inputs, st llb.State, title string, argv ...string) llb.State {
	opts := []llb.RunOption{in.Step(title, bundlePath+"/bin", append([]string{"/usr/bin/env"}, argv...)...),
		in.Cache("bundle", "/cache/bundle"), in.Mirrored(build.MirrorRubyGems),
		plan.Env("BUNDLE_USER_CACHE", "/cache/bundle"), plan.Env("BUNDLE_GLOBAL_GEM_CACHE", "1"), plan.Env("BUNDLE_JOBS", "4"), plan.Env("BUNDLE_RETRY", "3"),
		plan.Env("BUNDLE_SILENCE_ROOT_WARNING", "1"), plan.Env("BUNDLE_DISABLE_VERSION_CHECK", "1")}
	for _, e := range a.environment() {
		opts = append(opts, setting(in, e))
	}
	return st.Run(plan.Options(opts...)).Root()
}
