package node

import (
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// site is what a build script makes when it makes files to serve.
type site struct {
	what string // "Vite"
	dir  string // below the root
	spa  bool   // a path that is no file gets index.html: the page routes by itself
}

// generator is a tool that turns sources into files.
type generator struct {
	dependency string
	site       site
	serve      string // regexp of the start scripts that are only its development server
}

var generators = []generator{
	{"astro", site{"Astro", "dist", false}, `^astro (dev|preview|start)\b`},
	{"gatsby", site{"Gatsby", "public", false}, `^gatsby (develop|serve)\b`},
	{"@docusaurus/core", site{"Docusaurus", "build", false}, `^docusaurus (start|serve)\b`},
	{"@11ty/eleventy", site{"Eleventy", "_site", false}, `^(npx )?(@11ty/)?eleventy\b`},
	{"vitepress", site{"VitePress", ".vitepress/dist", false}, `^vitepress\b`},
	{"react-scripts", site{"Create React App", "build", true}, `^react-scripts start\b`},
	{"@vue/cli-service", site{"Vue CLI", "dist", true}, `^vue-cli-service serve\b`},
	{"@angular/cli", site{"Angular", "", true}, `^ng serve\b`},
	{"ember-cli", site{"Ember", "dist", true}, `^ember (serve|server|s)\b`},
	{"preact-cli", site{"Preact CLI", "build", true}, `^(per-env|preact|sirv)\b`},
	{"@sveltejs/adapter-static", site{"SvelteKit", "build", false}, `^vite\b`},
	{"vite", site{"Vite", "dist", true}, `^vite( |$)`},
	{"parcel", site{"Parcel", "dist", true}, `^parcel\b`},
}

func (m *manifest) depends(name string) bool {
	_, a := m.Dependencies[name]
	_, b := m.DevDependencies[name]
	return a || b
}

// findSite returns nil for what serves by itself: there is a start script that
// is more than a development server, a server of the framework's, or no build.
func findSite(tree fs.FS, m *manifest) *site {
	if m.Scripts["build"] == "" || m.serverOf(tree) != nil {
		return nil
	}
	start := strings.TrimSpace(m.Scripts["start"])
	if m.depends("next") {
		if config(tree, "next.config", `output\s*:\s*['"]export['"]`) != "" && (start == "" || strings.HasPrefix(start, "next ")) {
			return &site{"Next.js export", "out", false}
		}
		return nil
	}
	for _, g := range generators {
		if !m.depends(g.dependency) {
			continue
		}
		if start != "" && !regexp.MustCompile(g.serve).MatchString(start) {
			return nil
		}
		s := g.site
		switch g.dependency {
		case "vite", "astro":
			if dir := config(tree, g.dependency+".config", `outDir\s*:\s*['"]\.?/?([A-Za-z0-9_./-]{1,100})['"]`); fs.ValidPath(path.Clean(dir)) && dir != "" {
				s.dir = path.Clean(dir)
			}
		case "@angular/cli":
			if s.dir = angularOutput(tree); s.dir == "" {
				return nil
			}
		}
		return &s
	}
	return nil
}

// serverOf is the command of a framework that builds a server, or nil.
func (m *manifest) serverOf(tree fs.FS) stead.Command {
	if m.Scripts["start"] != "" {
		return nil
	}
	switch {
	case m.depends("next") && config(tree, "next.config", `output\s*:\s*['"]export['"]`) == "":
		return stead.Shell(`exec next start -H 0.0.0.0 -p "$PORT"`)
	case m.depends("nuxt"):
		return stead.Shell(`NITRO_PORT=$PORT exec node .output/server/index.mjs`)
	case m.depends("@astrojs/node"):
		return stead.Shell(`HOST=0.0.0.0 exec node dist/server/entry.mjs`)
	case m.depends("@sveltejs/adapter-node"):
		return stead.Command{nodeBin, "build"}
	case m.depends("@remix-run/serve"):
		return stead.Command{"remix-serve", "build/server/index.js"}
	}
	return nil
}

// config returns what the expression (its first group, if it has one) finds in
// the configuration file NAME.js, .mjs, .ts …; "" for nothing.
func config(tree fs.FS, name, expression string) string {
	file := plan.First(tree, name+".js", name+".mjs", name+".ts", name+".mts", name+".cjs")
	data, ok, err := plan.ReadFile(tree, file)
	if file == "" || err != nil || !ok {
		return ""
	}
	if m := regexp.MustCompile(expression).FindSubmatch(data); m != nil {
		return string(m[len(m)-1])
	}
	return ""
}

// angularOutput reads angular.json: the builder "application" puts what
// browsers get into a directory of its own.
func angularOutput(tree fs.FS) string {
	data, ok, err := plan.ReadFile(tree, "angular.json")
	if err != nil || !ok {
		return ""
	}
	type target struct {
		Builder string `json:"builder"`
		Options struct {
			OutputPath any `json:"outputPath"`
		} `json:"options"`
	}
	var f struct {
		Default  string `json:"defaultProject"`
		Projects map[string]struct {
			Type      string `json:"projectType"`
			Architect struct {
				Build target `json:"build"`
			} `json:"architect"`
		} `json:"projects"`
	}
	if json.Unmarshal(data, &f) != nil {
		return ""
	}
	for name, p := range f.Projects {
		if p.Type == "library" || f.Default != "" && name != f.Default || len(f.Projects) > 1 && f.Default == "" {
			continue
		}
		dir, _ := p.Architect.Build.Options.OutputPath.(string)
		if dir == "" {
			dir = "dist/" + name
		}
		if strings.HasSuffix(p.Architect.Build.Builder, ":application") {
			dir += "/browser"
		}
		if dir = path.Clean(dir); fs.ValidPath(dir) && dirGrammar.MatchString(dir) {
			return dir
		}
	}
	return ""
}

var dirGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,150}$`)
