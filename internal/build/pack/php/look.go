package php

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// lines are the PHPs of Debian's suites, the default first.
var lines = []plan.Line{{Version: "8.2", Suite: plan.Bookworm}, {Version: "8.4", Suite: plan.Trixie}}

// app is a detected app.
type app struct {
	line       plan.Line
	asked      plan.Asked
	composer   bool
	whole      bool // installing needs the whole tree
	server     string
	shims      bool // the Procfile calls vendor/bin/heroku-php-…
	docroot    string
	extensions []string // besides always, by Debian's names
	node       *node.Tool
	notes      []string
}

// docroots are where frameworks put what the web may see.
var docroots = []string{"public", "web", "webroot", "docroot", "htdocs", "www", "html", "."}

// look returns nil when the tree is not a PHP app.
func look(tree fs.FS) (*app, error) {
	a := &app{composer: plan.Has(tree, "composer.json"), docroot: docroot(tree)}
	if !a.composer && a.docroot == "" {
		return nil, nil
	}
	if a.docroot == "" {
		a.docroot = "."
	}
	if err := a.readComposer(tree); err != nil {
		return nil, err
	}
	if a.asked.Version == "" {
		var err error
		if a.asked, err = plan.AskedIn(tree, []string{".php-version"}, []string{"php"}, "php-"); err != nil {
			return nil, err
		}
	}
	var err error
	if a.line, err = plan.Choose("PHP", lines, a.asked); err != nil {
		return nil, err
	}
	procfile, _, err := plan.ReadFile(tree, "Procfile")
	if err != nil {
		return nil, err
	}
	a.server, a.shims = heroku(string(procfile))
	if a.server == "" && (plan.Has(tree, path.Join(a.docroot, ".htaccess")) || plan.Has(tree, ".htaccess")) {
		a.server = "apache2"
	}
	if a.server == "" {
		a.server = "nginx"
	}
	return a, nil
}

func docroot(tree fs.FS) string {
	for _, dir := range docroots {
		if plan.Has(tree, path.Join(dir, "index.php")) {
			return dir
		}
	}
	return ""
}

// manifest is what matters of composer.json and composer.lock.
type manifest struct {
	Require      map[string]string `json:"require"`
	Repositories json.RawMessage   `json:"repositories"`
	Config       struct {
		Platform map[string]any `json:"platform"`
	} `json:"config"`
	Packages []struct {
		Require map[string]string `json:"require"`
	} `json:"packages"` // of the lock file
	Platform json.RawMessage `json:"platform"` // of the lock file: an object, or an empty list
}

func (a *app) readComposer(tree fs.FS) error {
	if !a.composer {
		return nil
	}
	m, err := readManifest(tree, "composer.json")
	if err != nil {
		return err
	}
	if v := m.Require["php"]; v != "" && v != "*" {
		a.asked = plan.Asked{Version: v, From: "composer.json"}
	}
	a.whole = strings.Contains(strings.ReplaceAll(string(m.Repositories), " ", ""), `"type":"path"`)
	all := []map[string]string{m.Require}
	if lock, err := readManifest(tree, "composer.lock"); err == nil {
		for _, p := range lock.Packages {
			all = append(all, p.Require)
		}
	}
	if len(m.Require) > 0 && !plan.Has(tree, "composer.lock") && foreign(m.Require) {
		a.notes = append(a.notes, "there is no composer.lock: two builds of the same source may install different versions; commit it")
	}
	for _, r := range all {
		for name := range r {
			if e := extra[strings.TrimPrefix(name, "ext-")]; strings.HasPrefix(name, "ext-") && e != "" && !slices.Contains(a.extensions, e) {
				a.extensions = append(a.extensions, e)
			}
		}
	}
	slices.Sort(a.extensions)
	return nil
}

// foreign reports whether there are packages to install.
func foreign(require map[string]string) bool {
	for name := range require {
		if strings.Contains(name, "/") {
			return true
		}
	}
	return false
}

// maxLock is the largest lock file that is read: they are long.
const maxLock = 16 << 20

func readManifest(tree fs.FS, name string) (*manifest, error) {
	data, ok, err := plan.ReadFileMax(tree, name, maxLock)
	m := &manifest{}
	if err != nil || !ok {
		return m, err
	}
	if err := json.Unmarshal(data, m); err != nil {
		return m, &stead.Error{Kind: stead.KindInvalid, Field: name, Msg: name + " cannot be parsed: " + plan.Plain(err.Error()),
			Hint: "check it with \"composer validate\""}
	}
	return m, nil
}
