package descriptor

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/steadpaas/stead"
)

var update = flag.Bool("update", false, "write the golden files")

// TestWhatDescriptorsMean reads the trees of testdata, each of the files that
// real apps have, and compares what is made of them.
func TestWhatDescriptorsMean(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/want.txt")
	if *update {
		dirs, err = filepath.Glob("testdata/*/*")
	}
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	done := map[string]bool{}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		if done[dir] || filepath.Base(dir) == "fuzz" {
			continue
		}
		done[dir] = true
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got := render(Read(os.DirFS(dir)))
			want := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func render(a *App, err error) string {
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, f := range a.Findings {
		mark := "+"
		if !f.Honoured {
			mark = "-"
		}
		fmt.Fprintf(&b, "%s %s: %s → %s\n", mark, f.File, f.Says, f.Means)
	}
	text, err := json.MarshalIndent(a.Wishes, "", "  ")
	if err != nil {
		return err.Error()
	}
	return b.String() + string(text) + "\n"
}

func one(name, text string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(text)}} }

// Bombs and broken files end soon, with a sentence.
func TestHostileDescriptors(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 8), c-1)
	}
	for name, tree := range map[string]fstest.MapFS{
		"aliases": one("heroku.yml", bomb),
		"cycle":   one("heroku.yml", "a: &a\n  b: *a\n"),
		"depth":   one("heroku.yml", strings.Repeat("[", 10_000)),
		"indent":  one("heroku.yml", deep(60)),
		"large":   one("heroku.yml", "a: "+strings.Repeat("x", maxFile)),
		"toml":    one("stead.toml", "a = "+strings.Repeat("[", 100_000)),
		"unknown": one("stead.toml", "[build]\ncomand = 'x'"),
		"type":    one("heroku.yml", "- a"),
		"proc":    one("Procfile", "web"),
	} {
		if _, err := Read(tree); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tree := range map[string]fstest.MapFS{"json": one("app.json", strings.Repeat(`{"a":`, 5000)), "yaml": one("manifest.yml", bomb), "template": one("app.yaml", "{{ if x }}")} {
		a, err := Read(tree)
		if err != nil || len(a.Findings) != 1 || a.Findings[0].Honoured {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
}

func deep(n int) (s string) {
	for i := range n {
		s += strings.Repeat(" ", i) + "a:\n"
	}
	return s
}

// What an app's values are is told to nobody: not in a finding, not in an error.
func TestValuesStayOut(t *testing.T) {
	const secret = "s3cr3t-value"
	tree := fstest.MapFS{
		"app.json":     {Data: []byte(`{"env":{"A":"` + secret + `","B":{"value":"` + secret + `"}}}`)},
		"manifest.yml": {Data: []byte("applications:\n- env: {C: " + secret + "}\n  processes: [{type: x, env: {D: " + secret + "}}]")},
		"heroku.yml":   {Data: []byte("setup: {config: {E: " + secret + "}}\nbuild: {config: {F: " + secret + "}}")},
		"stackato.yml": {Data: []byte("env: {G: " + secret + "}")},
		"stead.toml":   {Data: []byte("[config]\nH='" + secret + "'\n[build.env]\nI='" + secret + "'")},
	}
	a, err := Read(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if strings.Contains(f.Says+f.Means, secret) {
			t.Errorf("a finding tells a value: %+v", f)
		}
	}
	if len(a.Wishes.Config) != 6 {
		t.Errorf("config %v", a.Wishes.Config)
	}
}

// FuzzRead: no tree of descriptors panics, and what comes out is within bounds.
func FuzzRead(f *testing.F) {
	names := []string{}
	for _, k := range kinds() {
		names = append(names, k.file)
	}
	seeds, err := filepath.Glob("testdata/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		for i, n := range names {
			if filepath.Base(s) != n {
				continue
			}
			data, err := os.ReadFile(s)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(i, data)
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		name := names[(which%len(names)+len(names))%len(names)]
		a, err := Read(one(name, string(data)))
		if err != nil {
			if stead.KindOf(err) != stead.KindInvalid {
				t.Fatalf("%v", err)
			}
			return
		}
		for p := range a.Wishes.Processes {
			if stead.CheckProcessType("p", p) != nil || p == stead.ProcessRun {
				t.Fatalf("process %q", p)
			}
		}
		for k := range a.Wishes.Config {
			if stead.CheckConfigKey(k) != nil {
				t.Fatalf("variable %q", k)
			}
		}
		for _, p := range a.Wishes.Build.Packages {
			if !pkgGrammar.MatchString(p) {
				t.Fatalf("package %q", p)
			}
		}
		for _, w := range a.Wishes.Routes {
			if stead.CheckPath("p", w.Path) != nil {
				t.Fatalf("route %q", w.Path)
			}
		}
		if len(a.Findings) > maxFindings {
			t.Fatal("too many findings")
		}
		for _, w := range a.Findings {
			if strings.ContainsAny(w.Says+w.Means, "\n\x1b\x00") {
				t.Fatalf("finding %+v", w)
			}
		}
	})
}
