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
	packages  []string // that go.mod says to build; nil: all main packages
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
		return nil, beforeModules(tree)
	}
	if !want.exact || want.version == "" {
		found, err := plan.AskedIn(tree, []string{".go-version"}, []string{"golang", "go"})
		if err != nil {
			return nil, err
		}
		if found.Version != "" {
			want = asked{found.Version, found.From, true}
		}
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
	m.packages = installed(f)
	want := asked{from: "go.mod"}
	if f.Go != nil {
		want.version = f.Go.Version
	}
	if f.Toolchain != nil && f.Toolchain.Name != "default" {
		want.version, want.exact = f.Toolchain.Name, true
	}
	return want, nil
}

// installed are the packages that a line "// +heroku install ./cmd/..." of
// go.mod names; nil: none does.
func installed(f *modfile.File) (out []string) {
	if f.Syntax == nil {
		return nil
	}
	for _, stmt := range f.Syntax.Stmt {
		c := stmt.Comment()
		for _, line := range append(append(c.Before, c.Suffix...), c.After...) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(line.Token, "//")), "+heroku install "); ok {
				out = append(out, strings.Fields(rest)...)
			}
		}
	}
	return out
}

// wants reports whether a main package is one of those that go.mod names.
func (m *module) wants(dir string) bool {
	for _, p := range m.packages {
		p = path.Clean(p)
		base, tree := strings.CutSuffix(p, "/...")
		if p == "..." || dir == p || tree && (dir == base || strings.HasPrefix(dir, base+"/")) {
			return true
		}
	}
	return len(m.packages) == 0
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

// beforeModules is an error for a tree of the days before modules, nil for any other.
func beforeModules(tree fs.FS) error {
	name := plan.First(tree, "Gopkg.toml", "Godeps/Godeps.json", "vendor/vendor.json", "glide.yaml")
	if name == "" {
		return nil
	}
	return stead.Invalid(name, "this is Go code of the days before modules ("+name+"), which today's Go does not build",
		"run \"go mod init NAME && go mod tidy\" (Go 1.21 or earlier takes the versions over from "+name+") and push go.mod and go.sum")
}

func broken(name string, err error) error {
	return &stead.Error{Kind: stead.KindInvalid, Field: name, Msg: name + " cannot be parsed: " + plan.Plain(err.Error()),
		Hint: "run \"go mod tidy\" and push again"}
}
