// Package archtest holds the rules of the house as tests: who may import whom,
// and how long things may get.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/steadpaas/stead"

// room is a set of packages (by prefix below the module, "" is the root alone)
// and what of the module it may import.
type room struct {
	packages []string
	may      []string
}

// seams are the packages of L1 that hold contracts rather than implementations.
var seams = []string{"internal/engine", "internal/build", "internal/logs", "internal/route", "internal/secret", "internal/auth", "internal/egress", "internal/cert"}

var house = []room{
	{[]string{""}, nil},
	{[]string{"client/..."}, []string{"", "client/..."}},
	{[]string{"internal/store"}, []string{""}},
	{[]string{"internal/supervise", "internal/secret", "internal/auth", "internal/logs", "internal/egress", "internal/cert"}, []string{""}},
	{[]string{"internal/engine/..."}, []string{"", "internal/engine/...", "internal/logs", "internal/supervise"}},
	{[]string{"internal/build/..."}, []string{"", "internal/build/...", "internal/engine/...", "internal/supervise"}},
	{[]string{"internal/route/..."}, []string{"", "internal/route/..."}},
	{[]string{"internal/platform"}, append([]string{"", "internal/store"}, seams...)},
	{[]string{"internal/converge/..."}, append([]string{"", "internal/platform", "internal/converge/..."}, seams...)},
	{[]string{"internal/api", "internal/console/...", "internal/compat/...", "internal/ingress/..."},
		[]string{"", "internal/platform", "internal/auth", "internal/logs", "internal/engine", "internal/ingress/...", "client/frames"}},
	{[]string{"internal/cli/..."}, []string{"", "client/...", "internal/cli/...", "internal/build/ignore", "internal/build/source"}},
	{[]string{"cmd/stead"}, []string{"", "internal/cli"}},
	{[]string{"cmd/steadd"}, []string{"", "internal/daemon"}},
}

type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func listModule(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"/...")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

func within(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		base, tree := strings.CutSuffix(p, "/...")
		return path == base || tree && strings.HasPrefix(path, base+"/")
	})
}

func local(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestImports(t *testing.T) {
	for _, p := range listModule(t) {
		here, ok := local(p.ImportPath)
		if !ok || within(here, []string{"internal/daemon", "internal/archtest", "test/...", "examples/..."}) {
			continue
		}
		i := slices.IndexFunc(house, func(r room) bool { return within(here, r.packages) })
		if i < 0 {
			t.Errorf("%s stands in no room of the house: add it to one in this test, or move it", here)
			continue
		}
		for _, imp := range p.Imports {
			if to, ok := local(imp); ok && !within(to, house[i].may) {
				t.Errorf("%s imports %q, which its room may not", here, to)
			}
		}
	}
}

// TestWordsStandAlone keeps the words free of everything but the standard library.
func TestWordsStandAlone(t *testing.T) {
	for _, p := range listModule(t) {
		if p.ImportPath != module {
			continue
		}
		for _, imp := range p.Imports {
			if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") || imp == "net/http" || imp == "os" || imp == "database/sql" {
				t.Errorf("package stead imports %s", imp)
			}
		}
	}
}
