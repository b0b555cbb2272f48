package golang

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/steadpaas/stead"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

const mainGo = "package main\nfunc main() {}\n"

func TestDetect(t *testing.T) {
	web := func(name string) map[string]stead.Command {
		return map[string]stead.Command{"web": {"/app/bin/" + name}}
	}
	for name, c := range map[string]struct {
		tree    fstest.MapFS
		summary string
		procs   map[string]stead.Command
		err     string
	}{
		"root":             {files("go.mod", "module example.com/hello\n\ngo 1.26.1\n", "main.go", mainGo), "Go 1.26.11 (go.mod), main package .", web("hello"), ""},
		"major suffix":     {files("go.mod", "module example.com/hello/v2\n", "main.go", mainGo), "Go " + Default + " (go.mod), main package .", web("hello"), ""},
		"toolchain line":   {files("go.mod", "module x\n\ngo 1.25\n\ntoolchain go1.25.3\n", "main.go", mainGo), "Go 1.25.3 (go.mod), main package .", web("x"), ""},
		".go-version":      {files("go.mod", "module x\n\ngo 1.25\n", ".go-version", "1.25.4\n", "main.go", mainGo), "Go 1.25.4 (.go-version), main package .", web("x"), ""},
		"old":              {files("go.mod", "module x\n\ngo 1.13\n", "main.go", mainGo), "Go " + Default + " (go.mod), main package .", web("x"), ""},
		"future":           {files("go.mod", "module x\n\ngo 1.31\n", "main.go", mainGo), "Go 1.31.0 (go.mod), main package .", web("x"), ""},
		"cmd":              {files("go.mod", "module x\n\ngo 1.24\n", "lib.go", "package x\n", "cmd/web/main.go", mainGo, "cmd/worker/main.go", mainGo), "Go 1.24.13 (go.mod), main packages ./cmd/web ./cmd/worker", map[string]stead.Command{"web": {"/app/bin/web"}, "worker": {"/app/bin/worker"}}, ""},
		"one elsewhere":    {files("go.mod", "module x\n", "service/api/main.go", mainGo), "Go " + Default + " (go.mod), main package ./service/api", web("api"), ""},
		"vendored":         {files("go.mod", "module x\n", "main.go", mainGo, "vendor/modules.txt", ""), "Go " + Default + " (go.mod), vendored, main package .", web("x"), ""},
		"workspace":        {files("go.work", "go 1.26\n\nuse ./api\n", "api/go.mod", "module api\n", "api/main.go", mainGo), "Go 1.26.11 (go.work), main package ./api", web("api"), ""},
		"ignored files":    {files("go.mod", "module x\n", "a.go", "//go:build ignore\n\n"+mainGo, "b_windows.go", mainGo, "c.go", mainGo), "Go " + Default + " (go.mod), main package .", web("x"), ""},
		"several, no word": {files("go.mod", "module x\n", "cmd/a/m.go", mainGo, "cmd/b/m.go", mainGo), "", nil, "several main packages"},
		"several, Procfile": {files("go.mod", "module x\n", "cmd/a/m.go", mainGo, "cmd/b/m.go", mainGo, "Procfile", "web: a"),
			"Go " + Default + " (go.mod), main packages ./cmd/a ./cmd/b", map[string]stead.Command{"a": {"/app/bin/a"}, "b": {"/app/bin/b"}}, ""},
		"root and more":     {files("go.mod", "module x\n", "main.go", mainGo, "cmd/import/m.go", mainGo), "Go " + Default + " (go.mod), main packages . ./cmd/import", map[string]stead.Command{"web": {"/app/bin/x"}, "import": {"/app/bin/import"}}, ""},
		".tool-versions":    {files("go.mod", "module x\n\ngo 1.25\n", ".tool-versions", "golang 1.25.2\n", "main.go", mainGo), "Go 1.25.2 (.tool-versions), main package .", web("x"), ""},
		"heroku install":    {files("go.mod", "module x\n\n// +heroku goVersion go1.26\n// +heroku install ./services/api\n\ngo 1.26\n", "cmd/tool/m.go", mainGo, "services/api/m.go", mainGo), "Go 1.26.11 (go.mod), main package ./services/api", web("api"), ""},
		"before modules":    {files("Gopkg.toml", "", "main.go", mainGo), "", nil, "days before modules"},
		"no main":           {files("go.mod", "module x\n", "lib.go", "package x\n"), "", nil, "no main package"},
		"outside workspace": {files("go.work", "go 1.26\n\nuse ../secret\n"), "", nil, "not a directory of the source"},
		"shell in version":  {files("go.mod", "module x\n", ".go-version", "1.26; rm -rf /", "main.go", mainGo), "", nil, "not one that Stead can fetch"},
		"shell in name":     {files("go.mod", "module x\n", "cmd/$(id)/main.go", mainGo), "", nil, "no main package"},
		"flag as name":      {files("go.mod", "module x\n", "cmd/-toolexec=x/main.go", mainGo), "", nil, "no main package"},
		"broken":            {files("go.mod", "module (\n"), "", nil, "cannot be parsed"},
		"huge":              {files("go.mod", strings.Repeat("/", 2<<20)), "", nil, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Pack{}.Detect(c.tree)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || stead.KindOf(err) != stead.KindInvalid {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.Summary != c.summary {
				t.Errorf("summary %q, want %q", d.Summary, c.summary)
			}
			if diff := cmp.Diff(c.procs, d.Processes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNotGo(t *testing.T) {
	if d, err := (Pack{}).Detect(files("package.json", "{}")); d != nil || err != nil {
		t.Fatal(d, err)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("module x\n\ngo 1.26\n", "go 1.26\nuse ./a\n", mainGo)
	f.Fuzz(func(t *testing.T, mod, work, src string) {
		_, _ = Pack{}.Detect(files("go.mod", mod, "go.work", work, "main.go", src))
	})
}
