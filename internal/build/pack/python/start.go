package python

import (
	"io/fs"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// application is an object of a module that a web server can serve.
type application struct {
	file   string // "app/main.py"
	module string // "app.main"
	object string // "app"
	kind   string // "Flask", "FastAPI", …; "" when the file does not show it
}

var (
	places = []string{"main.py", "app.py", "server.py", "wsgi.py", "asgi.py", "application.py", "run.py",
		"app/main.py", "app/app.py", "app/__init__.py", "api/main.py", "src/main.py", "src/app.py"}
	made = regexp.MustCompile(`(?m)^([A-Za-z_][A-Za-z0-9_]{0,63})(?:\s*:\s*[A-Za-z_.]+)?\s*=\s*(?:[a-z_]+\.)?(Flask|FastAPI|Starlette|Quart|Sanic|Litestar|Bottle|Falcon|APIFlask)\(`)
)

// find looks for the module that holds the app. One in a package counts only
// when it shows an object that can be served.
func find(tree fs.FS) *application {
	for _, file := range places {
		data, ok, err := plan.ReadFile(tree, file)
		if err != nil || !ok {
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, "src/"), ".py")
		a := &application{file: file, module: strings.ReplaceAll(strings.TrimSuffix(name, "/__init__"), "/", "."), object: "app"}
		if name == "wsgi" || name == "asgi" {
			a.object = "application"
		}
		if m := made.FindSubmatch(data); m != nil {
			a.object, a.kind = string(m[1]), string(m[2])
		} else if strings.Contains(file, "/") {
			continue
		}
		return a
	}
	return nil
}

// asgi reports whether it speaks ASGI, as far as its file shows.
func (a *application) asgi() bool {
	return a.module == "asgi" || a.kind == "FastAPI" || a.kind == "Starlette" || a.kind == "Quart" || a.kind == "Litestar"
}

// start tells the web process. All names in it are from a fixed list or are
// identifiers.
func (a *app) start(tree fs.FS) stead.Command {
	if a.django != "" {
		return a.startDjango()
	}
	w := find(tree)
	switch {
	case w == nil:
		return nil
	case a.has("uvicorn", "fastapi") && (w.asgi() || w.kind == ""):
		return stead.Shell("exec " + venv + "/bin/uvicorn " + w.module + ":" + w.object + ` --host 0.0.0.0 --port "$PORT" --proxy-headers --forwarded-allow-ips "*"`)
	case a.has("hypercorn") && w.asgi():
		return stead.Shell("exec " + venv + "/bin/hypercorn " + w.module + ":" + w.object + ` --bind "0.0.0.0:$PORT"`)
	case a.has("gunicorn") && !w.asgi():
		return stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", w.module + ":" + w.object} // binds $PORT by itself
	case a.has("waitress") && !w.asgi():
		return stead.Shell("exec " + venv + `/bin/waitress-serve --port="$PORT" ` + w.module + ":" + w.object)
	case w.kind == "Flask" && a.has("flask"):
		a.notes = append(a.notes, "Flask's own server serves this app; add gunicorn to the packages for more than development")
		return stead.Shell("exec " + venv + "/bin/flask --app " + w.module + ":" + w.object + ` run --host 0.0.0.0 --port "$PORT"`)
	}
	return stead.Command{pythonBin, w.file}
}

func (a *app) startDjango() stead.Command {
	switch {
	case a.has("gunicorn"):
		return stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", a.django + ".wsgi"}
	case a.has("uvicorn"):
		return stead.Shell("exec " + venv + "/bin/uvicorn " + a.django + `.asgi:application --host 0.0.0.0 --port "$PORT" --proxy-headers --forwarded-allow-ips "*"`)
	case a.has("daphne"):
		return stead.Shell("exec " + venv + `/bin/daphne -b 0.0.0.0 -p "$PORT" ` + a.django + ".asgi:application")
	}
	a.notes = append(a.notes, "Django's own server serves this app; add gunicorn to the packages for more than development")
	return stead.Shell("exec " + pythonBin + ` manage.py runserver --noreload "0.0.0.0:$PORT"`)
}
