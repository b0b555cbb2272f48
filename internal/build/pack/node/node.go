// Package node builds Node.js apps with npm, pnpm or Yarn. Node.js itself and
// the package managers come from the npm registry. What package.json and the
// lock file install is a layer of its own, which a change of the app's own
// files leaves alone.
package node

import (
	"io/fs"
	"path"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"github.com/steadpaas/stead/internal/build/pack/static"
)

const (
	nodeBin        = "/opt/node/bin/node"
	npmBin         = "/opt/node/bin/npm"
	publicRegistry = "https://registry.npmjs.org"
)

// Pack is the pack "node".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "node" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"package.json"} }

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	d := &plan.Detected{Pack: "node", Processes: map[string]stead.Command{}, LLB: a.plan}
	a.site = findSite(tree, a.manifest)
	switch c := a.manifest.start(tree); {
	case a.site != nil:
		d.Processes["web"] = static.Command(a.site.spa, "")
		d.LLB = a.planSite
	case c != nil:
		d.Processes["web"] = c
	case a.manifest.serverOf(tree) != nil:
		d.Processes["web"] = a.manifest.serverOf(tree)
	case !plan.Has(tree, "Procfile"):
		return nil, stead.Invalid("package.json", "nothing says how to start this app: package.json has no start script and there is no server.js, app.js or index.js",
			"add \"scripts\": {\"start\": \"node server.js\"} to package.json, or a Procfile")
	}
	d.Summary, d.Notes = a.summary(), a.notes(tree)
	return d, nil
}

// look returns nil when the tree has no package.json.
func look(tree fs.FS) (*app, error) {
	m, err := readManifest(tree)
	if err != nil || m == nil {
		return nil, err
	}
	a := &app{manifest: m}
	if a.release, a.from, err = chooseRelease(tree, m); err != nil {
		return nil, err
	}
	if a.manager, err = m.managed(tree, a.release); err != nil {
		return nil, err
	}
	a.look(tree)
	return a, nil
}

// chooseRelease reads engines.node, else .node-version, .nvmrc or .tool-versions.
func chooseRelease(tree fs.FS, m *manifest) (release, string, error) {
	asked := plan.Asked{Version: m.Engines.Node, From: "package.json"}
	if asked.Version == "" {
		found, err := plan.AskedIn(tree, []string{".node-version", ".nvmrc"}, []string{"nodejs", "node"})
		if err != nil {
			return release{}, "", err
		}
		if found.Version != "" {
			asked = found
		}
	}
	r, err := resolve(asked.Version)
	return r, asked.From, err
}

// app is a detected app.
type app struct {
	manifest  *manifest
	release   release
	from      string
	manager   manager
	manifests []string // files that installing depends on
	whole     bool     // installing needs the whole tree
	install   bool     // there is something to install
	build     string   // name of the build script, or ""
	site      *site    // what is built are files to serve; nil: it is not
}

// look finds out what a plan needs to know of the tree.
func (a *app) look(tree fs.FS) {
	m := a.manifest
	a.whole = m.scripted()
	a.install = a.whole || len(m.Dependencies)+len(m.DevDependencies) > 0 || a.manager.lock != ""
	for _, s := range []string{"heroku-postbuild", "build"} {
		if m.Scripts[s] != "" {
			a.build = s
			break
		}
	}
	for _, f := range []string{"package.json", a.manager.lock, ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs"} {
		if f != "" && plan.Has(tree, f) {
			a.manifests = append(a.manifests, f)
		}
	}
	for _, d := range []string{".yarn/patches", ".yarn/plugins", ".yarn/releases", "patches"} {
		if plan.HasDir(tree, d) {
			a.manifests = append(a.manifests, d)
		}
	}
	a.whole = a.whole || plan.Has(tree, "pnpm-workspace.yaml")
}

func (a *app) summary() string {
	s := "Node.js " + a.release.version + " (" + a.from + ")"
	if a.install {
		s += ", " + a.manager.name + " " + a.manager.version
	}
	if a.build != "" {
		s += ", script " + a.build
	}
	if a.site != nil {
		s += ", " + a.site.what + " served from " + a.site.dir
	}
	return s
}

func (a *app) notes(tree fs.FS) []string {
	var notes []string
	if a.manager.note != "" {
		notes = append(notes, a.manager.note)
	}
	if a.install && a.manager.lock == "" {
		notes = append(notes, "there is no lock file: two builds of the same source may install different versions; commit package-lock.json")
	}
	if plan.HasDir(tree, "node_modules") {
		notes = append(notes, "node_modules of the source is left out: packages are installed afresh")
	}
	return notes
}

// plan is the image: Node.js, the installed packages, the app's own files, in
// this order, from what changes least to what changes most.
func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	rt, err := a.runtime(in)
	if err != nil {
		return plan.Output{}, err
	}
	own := in.Source
	st := plan.Copy(in.Run, rt, "/", "/opt/node", "copy Node.js "+a.release.version, "include", "share")
	dir := "/"
	if a.install || a.build != "" {
		b := newBuilder(a, in, rt)
		installed := b.install()
		pruned := installed
		if a.build != "" {
			own, dir = b.script(installed), "/app"
			pruned = b.prune(installed)
		} else if a.whole {
			own, dir = installed, "/app"
		}
		if a.install {
			st = plan.CopyApp(st, pruned, "/app", "/app", "copy installed packages", b.notPackages()...)
		}
	}
	st = plan.CopyApp(st, own, dir, "/app", "copy the app", "node_modules", ".git")
	return plan.Output{State: st, Config: plan.Image([]string{"/app/node_modules/.bin", "/opt/node/bin"}, "NODE_ENV=production")}, nil
}

// planSite is the image of an app that only builds files: they, and the file server.
func (a *app) planSite(in plan.Inputs) (plan.Output, error) {
	rt, err := a.runtime(in)
	if err != nil {
		return plan.Output{}, err
	}
	b := newBuilder(a, in, rt)
	return static.Image(in, b.script(b.install()), path.Join("/app", a.site.dir))
}

// runtime is Node.js with npm, as it stands in /opt/node.
func (a *app) runtime(in plan.Inputs) (llb.State, error) {
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[in.Platform.Architecture]
	if !ok {
		return llb.State{}, stead.Invalid("source", "the Node.js pack does not know the architecture "+plan.Plain(in.Platform.Architecture), "use a Dockerfile")
	}
	registry := in.Mirror(plan.MirrorNPM, publicRegistry)
	pkg := "node-linux-" + arch
	nodejs := plan.Archive{Title: "Node.js " + a.release.version, Prefix: "package/",
		URL: registry + "/" + pkg + "/-/" + pkg + "-" + a.release.version + ".tgz"}
	if arch == "x64" {
		nodejs.SHA256 = a.release.sha256
	}
	npm := manager{name: "npm", version: a.release.npm}
	st := plan.Copy(in.Fetch(nodejs), in.Fetch(npm.archive(registry)), "/", "/lib/node_modules/npm", "add npm "+npm.version)
	return st.File(llb.Symlink("../lib/node_modules/npm/bin/npm-cli.js", "/bin/npm").
		Symlink("../lib/node_modules/npm/bin/npx-cli.js", "/bin/npx"), llb.WithCustomName("link npm")), nil
}
