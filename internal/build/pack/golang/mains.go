package golang

import (
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Limits of the search for main packages in a tree that may be hostile.
const (
	maxMains = 50
	maxSeen  = 20000 // directory entries
	maxDepth = 6
)

// findMains returns the main packages: the root of each module and what is in
// its cmd/*; where there are none, those anywhere.
func findMains(tree fs.FS, m *module) ([]command, error) {
	var found []command
	for _, dir := range m.dirs {
		if isMain(tree, dir) {
			found = append(found, named(dir, m.path))
		}
		entries, _ := fs.ReadDir(tree, path.Join(dir, "cmd"))
		for _, e := range entries {
			if sub := path.Join(dir, "cmd", e.Name()); e.IsDir() && dirGrammar.MatchString(sub) && isMain(tree, sub) {
				found = append(found, named(sub, m.path))
			}
		}
	}
	if len(found) == 0 || len(m.packages) > 0 {
		found = append(found, search(tree, m.path)...)
	}
	slices.SortStableFunc(found, func(a, b command) int { return strings.Compare(a.pkg, b.pkg) })
	found = slices.CompactFunc(found, func(a, b command) bool { return a.pkg == b.pkg })
	found = slices.DeleteFunc(found, func(c command) bool { return !m.wants(strings.TrimPrefix(c.pkg, "./")) })
	switch {
	case len(found) == 0:
		return nil, stead.Invalid("source", "there is no main package to run: none at the root of the module, below cmd or elsewhere",
			"push a program: a directory with package main and func main, such as cmd/web")
	case len(found) > maxMains:
		return nil, stead.Invalid("source", "there are more than 50 main packages", "keep those that are not this app's elsewhere than the root and cmd")
	}
	return found, distinct(found)
}

func distinct(cs []command) error {
	seen := map[string]string{}
	for _, c := range cs {
		if other, twice := seen[c.name]; twice {
			return stead.Invalid("source", "the main packages "+plan.Plain(other)+" and "+plan.Plain(c.pkg)+" would both make a program "+plan.Plain(c.name),
				"rename one of the directories")
		}
		seen[c.name] = c.pkg
	}
	return nil
}

var majorSuffix = regexp.MustCompile(`^v[0-9]+$`)

// named is the main package in dir, with the name that the go command gives
// its program.
func named(dir, modulePath string) command {
	if dir != "." {
		return command{"./" + dir, path.Base(dir)}
	}
	name := path.Base(modulePath)
	if majorSuffix.MatchString(name) && strings.Contains(modulePath, "/") {
		name = path.Base(path.Dir(modulePath))
	}
	if !dirGrammar.MatchString(name) {
		name = "app"
	}
	return command{".", name}
}

func search(tree fs.FS, modulePath string) []command {
	var found []command
	seen := 0
	_ = fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if seen++; err != nil || seen > maxSeen || len(found) > maxMains {
			return fs.SkipAll
		}
		if !d.IsDir() || p == "." {
			return nil
		}
		base := d.Name()
		if !dirGrammar.MatchString(p) || base == "vendor" || base == "testdata" || base == "node_modules" || base[0] == '_' ||
			strings.Count(p, "/") >= maxDepth {
			return fs.SkipDir
		}
		if isMain(tree, p) {
			found = append(found, named(p, modulePath))
		}
		return nil
	})
	return found
}

// isMain reports whether a file in dir that builds on Linux says package main.
func isMain(tree fs.FS, dir string) bool {
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", "amd64", true
	ctx.OpenFile = func(name string) (io.ReadCloser, error) {
		f, err := tree.Open(name)
		if err != nil {
			return nil, err
		}
		return limited{io.LimitReader(f, plan.MaxFile), f}, nil
	}
	entries, _ := fs.ReadDir(tree, dir)
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if ok, err := ctx.MatchFile(dir, e.Name()); err != nil || !ok {
			continue
		}
		return packageName(tree, path.Join(dir, e.Name())) == "main"
	}
	return false
}

func packageName(tree fs.FS, name string) string {
	data, ok, err := plan.ReadFile(tree, name)
	if err != nil || !ok {
		return ""
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, data, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return f.Name.Name
}

type limited struct {
	io.Reader
	io.Closer
}
