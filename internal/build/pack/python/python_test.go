package python

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

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		tree    fstest.MapFS
		summary string
		web     stead.Command
		notes   int
		err     string
	}{
		"plain":          {files("requirements.txt", "# none\n", "main.py", ""), "Python 3.11 (requirements.txt), nothing to install", stead.Command{pythonBin, "main.py"}, 0, ""},
		"gunicorn":       {files("requirements.txt", "Flask==3\ngunicorn\n", "app.py", ""), "Python 3.11 (requirements.txt)", stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", "app:app"}, 0, ""},
		"uvicorn":        {files("pyproject.toml", "[project]\ndependencies=['uvicorn[standard]>=0.2']\n", "main.py", ""), "Python 3.11 (pyproject.toml)", stead.Shell(`exec /app/.venv/bin/uvicorn main:app --host 0.0.0.0 --port "$PORT" --proxy-headers --forwarded-allow-ips "*"`), 1, ""},
		"src layout":     {files("requirements.txt", "fastapi\nuvicorn\n", "app/main.py", "api = FastAPI()\n"), "Python 3.11 (requirements.txt)", stead.Shell(`exec /app/.venv/bin/uvicorn app.main:api --host 0.0.0.0 --port "$PORT" --proxy-headers --forwarded-allow-ips "*"`), 0, ""},
		"flask alone":    {files("requirements.txt", "flask\n", "web.py", "", "app.py", "site = Flask(__name__)\n"), "Python 3.11 (requirements.txt)", stead.Shell(`exec /app/.venv/bin/flask --app app:site run --host 0.0.0.0 --port "$PORT"`), 1, ""},
		"django":         {files("requirements.txt", "django\ngunicorn\n", "manage.py", "", "site/wsgi.py", ""), "Python 3.11 (requirements.txt)", stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", "site.wsgi"}, 0, ""},
		"django, odd":    {files("requirements.txt", "django\n", "manage.py", "", "a;id/wsgi.py", "", "wsgi.py", ""), "Python 3.11 (requirements.txt)", stead.Command{pythonBin, "wsgi.py"}, 0, ""},
		"wheels":         {files("requirements.txt", "ms\n", "app.py", "", "wheels/ms-1-py3-none-any.whl", ""), "Python 3.11 (requirements.txt), wheels from wheels", stead.Command{pythonBin, "app.py"}, 0, ""},
		"other version":  {files("requirements.txt", "", "app.py", "", ".python-version", "3.13\n"), "Python 3.13 (.python-version), requirements.txt, nothing to install", stead.Command{pythonBin, "app.py"}, 0, ""},
		"no such":        {files("requirements.txt", "", "app.py", "", "runtime.txt", "python-3.12.4\n"), "", nil, 0, "runtime.txt asks for Python 3.12.4"},
		"tool-versions":  {files("requirements.txt", "", "app.py", "", ".tool-versions", "nodejs 20.1\npython 3.13.1\n"), "Python 3.13 (.tool-versions), requirements.txt, nothing to install", stead.Command{pythonBin, "app.py"}, 0, ""},
		"no start":       {files("requirements.txt", ""), "", nil, 0, "nothing says how to start"},
		"Pipfile":        {files("Pipfile", "[packages]\ngunicorn='*'\nflask='~=3.0'\n", "app.py", ""), "Python 3.11 (Pipfile)", stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", "app:app"}, 1, ""},
		"poetry":         {files("pyproject.toml", "[tool.poetry.dependencies]\npython='^3.9'\ngunicorn='^21.2'\n", "app.py", ""), "Python 3.11 (pyproject.toml)", stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", "app:app"}, 1, ""},
		"poetry, odd":    {files("pyproject.toml", "[tool.poetry.dependencies]\nflask=['a']\n"), "", nil, 0, "several conditions"},
		"flag as name":   {files("pyproject.toml", "[project]\ndependencies=['--target=/']\n"), "", nil, 0, "not a requirement"},
		"not TOML":       {files("pyproject.toml", "[[["), "", nil, 0, "cannot be parsed"},
		"huge":           {files("requirements.txt", strings.Repeat("a\n", 1<<20)), "", nil, 0, "larger than 1 MiB"},
		"many":           {files("requirements.txt", strings.Repeat("a\n", 3000)), "", nil, 0, "more than 2000"},
		"not python":     {files("index.html", ""), "", nil, 0, ""},
		"only Procfile…": {files("requirements.txt", "", "Procfile", "web: x"), "Python 3.11 (requirements.txt), nothing to install", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Pack{}.Detect(c.tree)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || stead.KindOf(err) != stead.KindInvalid {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || d == nil {
				if c.summary != "" || err != nil {
					t.Fatal(d, err)
				}
				return
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
	f.Add("flask\n-r other.txt\n", "[project]\ndependencies=['a']\n")
	f.Fuzz(func(t *testing.T, req, project string) {
		_, _ = Pack{}.Detect(files("requirements.txt", req, "app.py", ""))
		_, _ = Pack{}.Detect(files("pyproject.toml", project, "app.py", ""))
	})
}
