package node

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

func TestResolve(t *testing.T) {
	for rng, want := range map[string]string{
		"": "24.21.0", "*": "24.21.0", ">=18": "24.21.0", "lts/*": "24.21.0", "node": "24.21.0",
		"20": "20.20.2", "20.x": "20.20.2", "^20.1.0": "20.20.2", "~22.23": "22.23.3", "v22": "22.23.3", ">= 18 < 21": "20.20.2",
		"18 || 20": "20.20.2", "20.11.1": "20.11.1", "v24.21.0": "24.21.0", ">24": "26.10.0", "18 - 20": "20.20.2", "<=22": "22.23.3", "=20": "20.20.2",
		"16.x": "!", "25": "!", "$(id)": "!", "1.2.3.4": "!", "20; rm": "!", "999999": "!",
	} {
		r, err := resolve(rng)
		if want == "!" {
			if stead.KindOf(err) != stead.KindInvalid || err == nil {
				t.Errorf("%q: %v, %v", rng, r, err)
			}
		} else if err != nil || r.version != want {
			t.Errorf("%q: %q, %v, want %s", rng, r.version, err, want)
		}
	}
}

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		tree    fstest.MapFS
		summary string
		web     stead.Command
		notes   int
		err     string
	}{
		"start script":   {files("package.json", `{"scripts":{"start":"node server.js"},"dependencies":{"ms":"2"}}`, "package-lock.json", "{}"), "Node.js 24.21.0 (package.json), npm 11.21.2", stead.Command{nodeBin, "server.js"}, 0, ""},
		"shell start":    {files("package.json", `{"scripts":{"start":"node a.js && node b.js"}}`), "Node.js 24.21.0 (package.json)", stead.Command{npmBin, "start"}, 0, ""},
		"main":           {files("package.json", `{"main":"lib/app","engines":{"node":"22"}}`, "lib/app.js", ""), "Node.js 22.23.3 (package.json)", stead.Command{nodeBin, "./lib/app.js"}, 0, ""},
		"server.js":      {files("package.json", `{}`, "server.js", "", ".nvmrc", "20\n"), "Node.js 20.20.2 (.nvmrc)", stead.Command{nodeBin, "./server.js"}, 0, ""},
		"no lock":        {files("package.json", `{"dependencies":{"ms":"2"}}`, "index.js", ""), "Node.js 24.21.0 (package.json), npm 11.21.2", stead.Command{nodeBin, "./index.js"}, 1, ""},
		"pnpm":           {files("package.json", `{"packageManager":"pnpm@9.1.0+sha512.abc","scripts":{"build":"x"}}`, "index.js", "", "pnpm-lock.yaml", ""), "Node.js 24.21.0 (package.json), pnpm 9.1.0, script build", stead.Command{nodeBin, "./index.js"}, 0, ""},
		"yarn":           {files("package.json", `{}`, "index.js", "", "yarn.lock", ""), "Node.js 24.21.0 (package.json), yarn 1.22.22", stead.Command{nodeBin, "./index.js"}, 0, ""},
		"odd manager":    {files("package.json", `{"packageManager":"npm@$(id)"}`, "index.js", ""), "Node.js 24.21.0 (package.json)", stead.Command{nodeBin, "./index.js"}, 1, ""},
		"old engines":    {files("package.json", `{"engines":["node >= 0.2"]}`, "index.js", ""), "Node.js 24.21.0 (package.json)", stead.Command{nodeBin, "./index.js"}, 0, ""},
		"outside main":   {files("package.json", `{"main":"../../etc/passwd"}`), "", nil, 0, "nothing says how to start"},
		"berry, unnamed": {files("package.json", `{}`, "index.js", "", "yarn.lock", "", ".yarnrc.yml", ""), "", nil, 0, "Yarn 2 or later"},
		"not JSON":       {files("package.json", `{`), "", nil, 0, "cannot be parsed"},
		"deep":           {files("package.json", strings.Repeat("[", 100000)), "", nil, 0, "cannot be parsed"},
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
			if d.Summary != c.summary || len(d.Notes) != c.notes {
				t.Errorf("summary %q, notes %q, want %q and %d", d.Summary, d.Notes, c.summary, c.notes)
			}
			if diff := cmp.Diff(c.web, d.Processes["web"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDetect(f *testing.F) {
	f.Add(`{"engines":{"node":"^20 || 22 - 24"},"main":"a"}`)
	f.Fuzz(func(t *testing.T, data string) {
		_, _ = Pack{}.Detect(files("package.json", data, "index.js", ""))
	})
}
