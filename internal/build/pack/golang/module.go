package golang

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"golang.org/x/mod/modfile"
)

// module is what go.mod, or go.work, and .go-version say.
type module struct {
	path      string   // of the module at the root; "" for a workspace without one
	dirs      []string // of the modules: ".", "api", …
	toolchain string   // "1.26.11"
	from      string   // the file that decided it
	vendored  bool
	notes     []string
}

// asked is a wish for a Go version.
type asked struct {
	version, from string
	exact         bool
}

// readModule returns nil when there is neither go.mod nor go.work.
func readModule(tree fs.FS) (*module, error) {
	m := &module{vendored: plan.Has(tree, "vendor/modules.txt")}
	want, err := m.readMod(tree)
	if err != nil {
		return nil, err
	}
	if want, err = m.readWork(tree, want); err != nil {
		return nil, err
	}
	if len(m.dirs) == 0 {
		return nil, nil
	}
	if v, ok, err := plan.ReadFile(tree, ".go-version"); err != nil {
		return nil, err
	} else if ok && !(want.exact && want.version != "") {
		want = asked{strings.TrimSpace(string(v)), ".go-version", true}
	}
	m.from = want.from
	m.toolchain, err = resolve(want.version, want.exact)
	return m, err
}

func (m *module) readMod(tree fs.FS) (asked, error) {
	data, ok, err := plan.ReadFile(tree, "go.mod")
	if err != nil || !ok {
		return asked{}, err
	}
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil { // a directive of a later version of Go, perhaps
		f, err = modfile.ParseLax("go.mod", data, nil)
	}
	if err != nil {
		return asked{}, broken("go.mod", err)
	}
	m.dirs = []string{"."}
	if f.Module != nil {
		m.path = f.Module.Mod.Path
	}
	want := asked{from: "go.mod"}
	if f.Go != nil {
		want.version = f.Go.Version
	}
	if f.Toolchain != nil && f.Toolchain.Name != "default" {
		want.version, want.exact = f.Toolchain.Name, true
	}
	return want, nil
}

var dirGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)

func (m *module) readWork(tree fs.FS, want asked) (asked, error) {
	data, ok, err := plan.ReadFile(tree, "go.work")
	if err != nil || !ok {
		return want, err
	}
	w, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return want, broken("go.work", err)
	}
	root := m.path != ""
	m.dirs = nil
	if len(w.Use) > 100 {
		return want, stead.Invalid("go.work", "go.work uses more than 100 modules", "push the modules that this app needs")
	}
	for _, u := range w.Use {
		dir := path.Clean(u.Path)
		if dir != "." && !dirGrammar.MatchString(dir) {
			return want, stead.Invalid("go.work", "go.work uses "+plan.Plain(u.Path)+", which is not a directory of the source",
				"use directories below the one that is pushed")
		}
		m.dirs = append(m.dirs, dir)
	}
	if !root {
		want = asked{from: "go.work"}
		if w.Go != nil {
			want.version = w.Go.Version
		}
	}
	if w.Toolchain != nil && w.Toolchain.Name != "default" {
		want = asked{w.Toolchain.Name, "go.work", true}
	}
	return want, nil
}

func broken(name string, err error) error {
	return &stead.Error{Kind: stead.KindInvalid, Field: name, Msg: name + " cannot be parsed: " + plan.Plain(err.Error()),
		Hint: "run \"go mod tidy\" and push again"}
}
