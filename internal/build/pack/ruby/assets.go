package ruby

import (
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// compiled is the build image with the source in /app and Rails' assets
// compiled. The task loads the app, which may want a key and the address of a
// database; it gets ones that lead nowhere, unless the app's config has them.
func (a *app) compiled(in plan.Inputs, gems llb.State) (llb.State, error) {
	st := gems
	if a.node != nil {
		var err error
		if st, err = a.node.Installed(in, st); err != nil {
			return st, err
		}
	}
	st = plan.CopyApp(st, in.Source, "/", "/app", "copy the source", ".git", "vendor/bundle", "node_modules")
	path := bundlePath + "/bin"
	if a.node != nil {
		path = a.node.Path() + ":" + path
	}
	opts := []llb.RunOption{in.Step("rake assets:precompile", path, "/usr/bin/env", "bundle", "exec", "rake", "assets:precompile")}
	if a.node != nil {
		opts = append(opts, a.node.Mounted(in))
	}
	for _, e := range append(a.environment(), "SECRET_KEY_BASE_DUMMY=1", "SECRET_KEY_BASE=only-for-compiling-assets", "DATABASE_URL="+a.database()) {
		if !strings.HasSuffix(e, "=") {
			opts = append(opts, setting(in, e))
		}
	}
	return st.Run(plan.Options(opts...)).Root(), nil
}

func (a *app) database() string {
	switch {
	case a.has("pg"):
		return "postgresql://nobody@127.0.0.1/none"
	case a.has("mysql2"):
		return "mysql2://nobody@127.0.0.1/none"
	}
	return ""
}

// setting sets a variable of a step, unless the app's config has it.
func setting(in plan.Inputs, pair string) llb.RunOption {
	name, value, _ := strings.Cut(pair, "=")
	if _, set := in.BuildEnv[name]; set {
		return plan.Options()
	}
	return plan.Env(name, value)
}
