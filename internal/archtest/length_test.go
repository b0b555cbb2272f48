package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Hard limits; what is past them is two ideas. The medians are far below.
const (
	maxFunction = 80  // lines
	maxFile     = 600 // lines
)

type measured struct {
	where string
	lines int
}

// TestLengths fails on what is too long, and prints the longest of the rest.
func TestLengths(t *testing.T) {
	var functions, files []measured
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || slices.Contains([]string{"bin", "examples", "testdata"}, d.Name())) {
			if path != root && path != filepath.Join(root, "..") {
				return fs.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || generated(path) {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, measured{path, bytes.Count(src, []byte("\n"))})
		functions = append(functions, lengths(t, path, src)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	report(t, "function", functions, maxFunction)
	report(t, "file", files, maxFile)
}

func generated(path string) bool {
	return strings.HasSuffix(path, "_templ.go") || strings.HasSuffix(path, ".pb.go") || strings.HasSuffix(path, "_gen.go")
}

func lengths(t *testing.T, path string, src []byte) []measured {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	test := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "enginetest")
	var out []measured
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || test {
			continue
		}
		n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
		out = append(out, measured{fmt.Sprintf("%s %s", path, f.Name.Name), n})
	}
	return out
}

func report(t *testing.T, noun string, all []measured, limit int) {
	t.Helper()
	slices.SortFunc(all, func(a, b measured) int { return b.lines - a.lines })
	for i, m := range all {
		if m.lines > limit {
			t.Errorf("%s of %d lines (limit %d): %s", noun, m.lines, limit, m.where)
		} else if i < 8 {
			t.Logf("%4d lines: %s", m.lines, m.where)
		}
	}
}
