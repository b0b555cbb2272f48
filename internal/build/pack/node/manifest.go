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

// manifest is what matters of a package.json.
type manifest struct {
	Name            string            `json:"name"`
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Engines         engines           `json:"engines"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	PackageManager  string            `json:"packageManager"`
	Workspaces      json.RawMessage   `json:"workspaces"`
}

// engines tolerates the array that very old packages have.
type engines struct{ Node string }

// UnmarshalJSON implements json.Unmarshaler.
func (e *engines) UnmarshalJSON(data []byte) error {
	var m map[string]any
	if json.Unmarshal(data, &m) == nil {
		e.Node, _ = m["node"].(string)
	}
	return nil
}

func readManifest(tree fs.FS) (*manifest, error) {
	data, ok, err := plan.ReadFile(tree, "package.json")
	if err != nil || !ok {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(data), "\ufeff")), m); err != nil {
		return nil, &stead.Error{Kind: stead.KindInvalid, Field: "package.json", Msg: "package.json cannot be parsed: " + plan.Plain(err.Error()),
			Hint: "check its JSON, for example with \"npm pkg get name\""}
	}
	return m, nil
}

// plainNode is a start script that needs no shell and no npm.
var plainNode = regexp.MustCompile(`^node( [A-Za-z0-9_./=:,-]+)+$`)

// start tells the web process: the start script, else main, else what such
// programs are usually called. A start script that only calls node is run
// without npm in between, which starts sooner and gets signals first-hand.
func (m *manifest) start(tree fs.FS) stead.Command {
	script := strings.TrimSpace(m.Scripts["start"])
	if plainNode.MatchString(script) && m.Scripts["prestart"] == "" && m.Scripts["poststart"] == "" {
		return append(stead.Command{nodeBin}, strings.Fields(script)[1:]...)
	}
	if script != "" {
		return stead.Command{npmBin, "start"}
	}
	for _, name := range []string{m.Main, "server.js", "app.js", "index.js", "server.mjs", "index.mjs"} {
		if name == "" || !fs.ValidPath(path.Clean(name)) {
			continue
		}
		for _, file := range []string{path.Clean(name), path.Clean(name) + ".js"} {
			if plan.Has(tree, file) {
				return stead.Command{nodeBin, "./" + file}
			}
		}
	}
	return nil
}

// scripted reports whether installing runs the app's own scripts, or takes
// packages from the tree, so that all of it has to be there.
func (m *manifest) scripted() bool {
	for _, s := range []string{"preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"} {
		if m.Scripts[s] != "" {
			return true
		}
	}
	if len(m.Workspaces) > 0 && string(m.Workspaces) != "null" {
		return true
	}
	for _, deps := range []map[string]string{m.Dependencies, m.DevDependencies} {
		for _, v := range deps {
			if strings.HasPrefix(v, "file:") || strings.HasPrefix(v, "link:") || strings.HasPrefix(v, "workspace:") ||
				strings.HasPrefix(v, "portal:") || strings.HasPrefix(v, "patch:") || strings.HasPrefix(v, ".") {
				return true
			}
		}
	}
	return false
}

var managerGrammar = regexp.MustCompile(`^(npm|pnpm|yarn)@([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(\+.*)?$`)

// manager is the program that installs the app's packages.
type manager struct {
	name    string // "npm", "pnpm", "yarn"
	version string
	lock    string // the lock file's name; "" for none
	berry   bool   // yarn 2 or later
	note    string
}

// managed tells by which manager, from the packageManager field and the lock file.
func (m *manifest) managed(tree fs.FS, r release) (manager, error) {
	out := manager{name: "npm", version: r.npm, lock: plan.First(tree, "npm-shrinkwrap.json", "package-lock.json")}
	switch {
	case plan.Has(tree, "pnpm-lock.yaml"):
		out = manager{name: "pnpm", version: "10.34.9", lock: "pnpm-lock.yaml"}
	case plan.Has(tree, "yarn.lock"):
		out = manager{name: "yarn", version: "1.22.22", lock: "yarn.lock"}
	case plan.Has(tree, "bun.lock") || plan.Has(tree, "bun.lockb"):
		out.note = "bun's lock file is not used: packages are installed by npm"
	}
	if m.PackageManager == "" {
		if out.name == "yarn" && plan.Has(tree, ".yarnrc.yml") {
			return out, stead.Invalid("package.json", "this looks like Yarn 2 or later, but package.json does not say which version",
				"add \"packageManager\": \"yarn@4.9.2\", or run \"yarn set version stable\"")
		}
		return out, nil
	}
	w := managerGrammar.FindStringSubmatch(m.PackageManager)
	switch {
	case w == nil:
		out.note = "packageManager " + plan.Plain(m.PackageManager) + " is not one that Stead knows: using " + out.name + " " + out.version
	case w[1] == out.name || out.lock == "":
		out.name, out.version = w[1], w[2]
		out.berry = out.name == "yarn" && parse(w[2])[0] >= 2
	default:
		out.note = "packageManager says " + w[1] + ", but " + out.lock + " is " + out.name + "'s: using " + out.name
	}
	return out, nil
}

// archive is the manager's own npm package.
func (m manager) archive(registry string) plan.Archive {
	pkg, file := m.name, m.name
	if m.berry {
		pkg, file = "@yarnpkg/cli-dist", "cli-dist"
	}
	return plan.Archive{Title: m.name + " " + m.version, Prefix: "package/", SHA256: tools[m.name+"@"+m.version],
		URL: registry + "/" + pkg + "/-/" + file + "-" + m.version + ".tgz"}
}
