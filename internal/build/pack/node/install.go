package node

import (
	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// builder makes the steps that run the app's package manager and scripts.
type builder struct {
	app     *app
	in      plan.Inputs
	runtime llb.State
	manager *llb.State // mounted at /opt/manager; nil: npm, which is in runtime
}

func newBuilder(a *app, in plan.Inputs, runtime llb.State) *builder {
	b := &builder{app: a, in: in, runtime: runtime}
	m := a.manager
	if m.name == "npm" && m.version == a.release.npm {
		return b
	}
	entry := map[string]string{"npm": "npm-cli.js", "pnpm": "pnpm.cjs", "yarn": "yarn.js"}[m.name]
	if m.name == "pnpm" && parse(m.version)[0] >= 11 {
		entry = "pnpm.mjs"
	}
	st := in.Fetch(m.archive(in.Mirror(plan.MirrorNPM, publicRegistry))).
		File(llb.Mkdir("/path", 0o755).Symlink("../bin/"+entry, "/path/"+m.name), llb.WithCustomName("link "+m.name))
	b.manager = &st
	return b
}

// install returns the build image with the packages in /app.
func (b *builder) install() llb.State {
	a := b.app
	st := b.in.Build.Dir("/app")
	if a.whole {
		st = plan.CopyApp(st, b.in.Source, "/", "/app", "copy the source", "node_modules", ".git")
	} else {
		st = plan.CopyAppFiles(st, b.in.Source, "/app", "copy package files", a.manifests...)
	}
	if !a.install {
		return st
	}
	argv := a.manager.installArgs(a.build != "")
	return b.run(st, "install packages", argv...)
}

// installArgs is the command that installs what the lock file says; with dev,
// also what only building needs.
func (m manager) installArgs(dev bool) []string {
	locked := m.lock != ""
	pick := func(yes bool, a, b string) string {
		if yes {
			return a
		}
		return b
	}
	switch {
	case m.berry:
		return []string{"yarn", "install", pick(locked, "--immutable", "--no-immutable")}
	case m.name == "yarn":
		return []string{"yarn", "install", pick(locked, "--frozen-lockfile", "--no-lockfile"), pick(dev, "--production=false", "--production=true"),
			"--non-interactive", "--prefer-offline"}
	case m.name == "pnpm":
		return []string{"pnpm", "install", pick(locked, "--frozen-lockfile", "--no-frozen-lockfile"), pick(dev, "--prod=false", "--prod"), "--prefer-offline"}
	}
	return []string{"npm", pick(locked, "ci", "install"), pick(dev, "--include=dev", "--omit=dev"), "--no-audit", "--no-fund", "--prefer-offline"}
}

// prune removes what only building needs.
func (b *builder) prune(st llb.State) llb.State {
	if !b.app.install {
		return st
	}
	m := b.app.manager
	argv := []string{"npm", "prune", "--omit=dev", "--no-audit", "--no-fund"}
	switch {
	case m.berry:
		argv = []string{"yarn", "workspaces", "focus", "--all", "--production"}
	case m.name == "yarn":
		argv = []string{"yarn", "install", "--production=true", "--ignore-scripts", "--prefer-offline", "--non-interactive"}
	case m.name == "pnpm":
		argv = []string{"pnpm", "prune", "--prod", "--ignore-scripts"}
	}
	return b.run(st, "remove packages for development", argv...)
}

// script runs the app's build script on all of its files.
func (b *builder) script(st llb.State) llb.State {
	if !b.app.whole {
		st = plan.CopyApp(st, b.in.Source, "/", "/app", "copy the source", "node_modules", ".git")
	}
	return b.run(st, "run script "+b.app.build, b.app.manager.name, "run", b.app.build)
}

// toolPath are the directories of Node.js, its packages' programs and the package manager in a step.
const toolPath = "/opt/manager/path:/app/node_modules/.bin:/opt/node/bin"

func (b *builder) run(st llb.State, title string, argv ...string) llb.State {
	step := b.in.Step(title, toolPath, append([]string{"/usr/bin/env"}, argv...)...)
	return st.Run(plan.Options(step, b.mounts())).Root()
}

// mounts puts Node.js, the package manager and its cache in a step.
func (b *builder) mounts() llb.RunOption {
	var opts []llb.RunOption
	if b.manager != nil {
		opts = append(opts, llb.AddMount("/opt/manager", *b.manager, llb.Readonly))
	}
	opts = append(opts, llb.AddMount("/opt/node", b.runtime, llb.Readonly), b.in.Cache("npm", "/cache/node"),
		plan.Env("npm_config_cache", "/cache/node/npm"), plan.Env("npm_package_config_node_gyp_nodedir", "/opt/node"),
		plan.Env("npm_config_registry", publicRegistry), plan.Env("npm_config_update_notifier", "false"))
	opts = append(append(opts, b.app.manager.env()...), b.in.Mirrored(plan.MirrorNPM))
	if _, set := b.in.BuildEnv["NODE_ENV"]; !set {
		opts = append(opts, plan.Env("NODE_ENV", "production"))
	}
	return plan.Options(opts...)
}

// env are the settings of one package manager.
func (m manager) env() []llb.RunOption {
	switch m.name {
	case "pnpm": // the first prefix until version 10, the second from 11
		var out []llb.RunOption
		for _, prefix := range []string{"npm_config_", "pnpm_config_"} {
			out = append(out, plan.Env(prefix+"store_dir", "/cache/node/pnpm"), plan.Env(prefix+"package_import_method", "copy"),
				plan.Env(prefix+"manage_package_manager_versions", "false"))
		}
		return out
	case "yarn":
		return []llb.RunOption{plan.Env("YARN_CACHE_FOLDER", "/cache/node/yarn"), plan.Env("YARN_ENABLE_GLOBAL_CACHE", "false"),
			plan.Env("YARN_NODE_LINKER", "node-modules"), plan.Env("YARN_ENABLE_TELEMETRY", "0"),
			plan.Env("YARN_REGISTRY", publicRegistry), plan.Env("YARN_NPM_REGISTRY_SERVER", publicRegistry)}
	}
	return nil
}

// notPackages are the patterns that leave only the root's node_modules.
func (b *builder) notPackages() []string { return []string{"*", "!node_modules"} }
