package python

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/steadpaas/stead"
)

var sum = "sha256:" + strings.Repeat("ab", 32)

const pyproject = "[project]\nname='web'\nrequires-python='>=3.9'\ndependencies=['flask>=2', 'gunicorn']\n"

// Lock files as their tools write them, cut short.
var lockFiles = map[string]struct {
	tree         fstest.MapFS
	requirements []string
	constraints  []string
	hashes       []string
	whole        bool
}{
	"uv": {files("pyproject.toml", pyproject, "app.py", "", "uv.lock", `version = 1
requires-python = ">=3.9"
[[package]]
name = "web"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "flask" }]
[[package]]
name = "flask"
version = "3.0.3"
source = { registry = "https://pypi.example/simple" }
sdist = { url = "https://x/flask.tar.gz", hash = "`+sum+`", size = 1 }
wheels = [{ url = "https://x/flask.whl", hash = "`+sum+`", size = 1 }]
[[package]]
name = "numpy"
version = "1.26.4"
resolution-markers = ["python_full_version < '3.10'"]
source = { registry = "https://pypi.example/simple" }
[[package]]
name = "numpy"
version = "2.1.0"
resolution-markers = ["python_full_version >= '3.10'"]
source = { registry = "https://pypi.example/simple" }
[[package]]
name = "own_lib"
version = "0.1.0"
source = { editable = "libs/own" }
[[package]]
name = "forked"
version = "1.0"
source = { git = "https://git.example/f.git?rev=main#0123456789abcdef0123456789abcdef01234567" }
`), []string{"flask>=2", "gunicorn"},
		[]string{"flask==3.0.3", "numpy==1.26.4 ; (python_full_version < '3.10')", "numpy==2.1.0 ; (python_full_version >= '3.10')", "own-lib @ file:///src/libs/own",
			"forked @ git+https://git.example/f.git@0123456789abcdef0123456789abcdef01234567"}, []string{"flask==3.0.3 " + sum}, true},
	"poetry": {files("pyproject.toml", "[tool.poetry.dependencies]\npython='^3.9'\nflask='^3.0'\nuvicorn={version='^0.30', extras=['standard']}\ntyping-extensions={version='*', markers=\"python_version < '3.11'\"}\nopt={version='1', optional=true}\n",
		"app.py", "", "poetry.lock", `[[package]]
name = "Flask"
version = "3.0.3"
description = ""
optional = false
groups = ["main"]
markers = "python_version >= '3.9'"
files = [
    {file = "flask.whl", hash = "`+sum+`"},
]
[package.dependencies]
Werkzeug = ">=3.0.0"
[metadata]
lock-version = "2.1"
`), []string{"flask>=3.0,<4", "typing-extensions ; python_version < '3.11'", "uvicorn[standard]>=0.30,<0.31"}, []string{"flask==3.0.3"}, []string{"flask==3.0.3 " + sum}, false},
	"pdm": {files("pyproject.toml", pyproject, "app.py", "", "pdm.lock", `[metadata]
groups = ["default"]
[[package]]
name = "flask"
version = "3.0.3"
requires_python = ">=3.8"
groups = ["default"]
files = [{file = "flask.whl", hash = "`+sum+`"}]
[[package]]
name = "g"
version = "1"
git = "https://git.example/g.git"
revision = "0123456789"
`), []string{"flask>=2", "gunicorn"}, []string{"flask==3.0.3", "g @ git+https://git.example/g.git@0123456789"}, []string{"flask==3.0.3 " + sum}, false},
	"pipenv": {files("Pipfile", "", "app.py", "", "Pipfile.lock", `{"_meta": {"requires": {"python_version": "3.11"}}, "default": {
"flask": {"hashes": ["`+sum+`"], "markers": "python_version >= '3.8'", "version": "==3.0.3"},
"uvicorn": {"extras": ["standard"], "version": "==0.30.0"}}, "develop": {"pytest": {"version": "==8.0.0"}}}`),
		[]string{"flask ; python_version >= '3.8'", "uvicorn[standard]"}, []string{"flask==3.0.3", "uvicorn==0.30.0"}, []string{"flask==3.0.3 " + sum}, false},
}

func TestLockFiles(t *testing.T) {
	for name, c := range lockFiles {
		a, err := look(c.tree)
		if err != nil || a.lock == nil {
			t.Error(name, err)
			continue
		}
		if diff := cmp.Diff([][]string{c.requirements, c.constraints, c.hashes}, [][]string{a.lock.requirements, a.lock.constraints, a.lock.hashes}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if a.whole != c.whole || a.line.Version != "3.11" {
			t.Errorf("%s: whole %v, Python %s", name, a.whole, a.line.Version)
		}
	}
}

// What a lock file says reaches pip as a line of a file: none may be more than a line.
func TestHostileLocks(t *testing.T) {
	for _, text := range []string{
		"[[package]]\nname='a'\nversion='1\\n--index-url=http://evil'\n",
		"[[package]]\nname='--target=/'\nversion='1'\n",
		"[[package]]\nname='a'\nversion='1'\nsource={directory='../../etc'}\n",
		"[[package]]\nname='a'\nversion='1'\ngit='ext::sh -c id'\nrevision='0123456'\n",
		"[[package]]\nname='a'\nversion='1'\ngit='https://x/y'\nrevision='main; id'\n",
	} {
		_, err := look(files("pyproject.toml", pyproject, "app.py", "", "uv.lock", text))
		if stead.KindOf(err) != stead.KindInvalid || err == nil {
			t.Errorf("%q was accepted: %v", text, err)
		}
	}
}

func TestPoetryVersions(t *testing.T) {
	for in, want := range map[string]string{"^1.2.3": ">=1.2.3,<2", "^0.3": ">=0.3,<0.4", "^0.0.3": ">=0.0.3,<0.0.4", "^0": ">=0,<1", "~1.2.3": ">=1.2.3,<1.3", "~1": ">=1,<2",
		"1.2": "==1.2", "*": "", ">=1,<2": ">=1,<2", "1.*": "==1.*", "~=2.1": "~=2.1"} {
		if got, ok := pep440(in); got != want || !ok {
			t.Errorf("%s: %q %v, want %q", in, got, ok, want)
		}
	}
	if _, ok := pep440("1.2 ; --evil"); ok {
		t.Error("accepted")
	}
}

func FuzzLock(f *testing.F) {
	for _, c := range lockFiles {
		for _, name := range append([]string{"Pipfile.lock"}, lockNames...) {
			if m := c.tree[name]; m != nil {
				f.Add(string(m.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range append([]string{"Pipfile.lock"}, lockNames...) {
			a, err := look(files("pyproject.toml", pyproject, "Pipfile", "", "app.py", "", name, text))
			if err != nil || a.lock == nil {
				continue
			}
			for _, line := range append(append(a.lock.requirements, a.lock.constraints...), a.lock.hashes...) {
				if strings.ContainsAny(line, "\n\r") || strings.HasPrefix(line, "-") {
					t.Fatalf("%q", line)
				}
			}
		}
	})
}
