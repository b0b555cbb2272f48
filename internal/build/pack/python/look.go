package python

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

const maxRequirements = 2000

// look returns nil when the tree is not a Python app.
func look(tree fs.FS) (*app, error) {
	a := &app{from: plan.First(tree, "requirements.txt", "pyproject.toml")}
	var err error
	switch {
	case a.from == "requirements.txt":
		err = a.readRequirements(tree)
	case a.from == "pyproject.toml":
		err = a.readProject(tree)
	case plan.Has(tree, "Pipfile"):
		return nil, stead.Invalid("Pipfile", "a Pipfile alone is not enough: Stead installs from requirements.txt or pyproject.toml",
			"run \"pipenv requirements > requirements.txt\" and push it too")
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.findWheels(tree)
	a.findDjango(tree)
	a.noteOthers(tree)
	return a, nil
}

func (a *app) noteOthers(tree fs.FS) {
	for _, name := range []string{"Pipfile", "poetry.lock", "uv.lock"} {
		if plan.Has(tree, name) {
			a.notes = append(a.notes, name+" is not used: packages are installed from "+a.from)
		}
	}
	for _, name := range []string{".python-version", "runtime.txt"} {
		data, ok, err := plan.ReadFile(tree, name)
		v := strings.TrimPrefix(strings.TrimSpace(string(data)), "python-")
		if err == nil && ok && v != Version && !strings.HasPrefix(v, Version+".") {
			a.notes = append(a.notes, name+" asks for Python "+plan.Plain(v)+"; Stead has Python "+Version+": use a Dockerfile for another")
		}
	}
}

var distribution = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`)

// normal is a distribution's normalized name (PEP 503), or "".
func normal(requirement string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(distribution.FindString(requirement)))
}

// readRequirements lists the names. Lines that point to other files of the
// tree make the whole tree what installing depends on.
func (a *app) readRequirements(tree fs.FS) error {
	data, _, err := plan.ReadFile(tree, "requirements.txt")
	if err != nil {
		return err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for _, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "--index-url"), strings.HasPrefix(line, "--extra-index-url"), strings.HasPrefix(line, "--hash"),
			strings.HasPrefix(line, "-i "), strings.HasPrefix(line, "--only-binary"), strings.HasPrefix(line, "--no-binary"):
		case line[0] == '-' || line[0] == '.' || line[0] == '/' || strings.Contains(line, "file:"):
			a.whole = true
		default:
			if n := normal(line); n != "" {
				a.names = append(a.names, n)
			}
		}
		if len(a.names) > maxRequirements {
			return stead.Invalid("requirements.txt", "requirements.txt lists more than 2000 packages", "list only what the app needs")
		}
	}
	return nil
}

// readProject takes the dependencies of a pyproject.toml (PEP 621); the
// project itself runs from its files.
func (a *app) readProject(tree fs.FS) error {
	data, _, err := plan.ReadFile(tree, "pyproject.toml")
	if err != nil {
		return err
	}
	var p struct {
		Project struct {
			Dependencies []string `toml:"dependencies"`
		} `toml:"project"`
		Tool struct {
			Poetry map[string]any `toml:"poetry"`
		} `toml:"tool"`
	}
	if err := toml.Unmarshal(data, &p); err != nil {
		return &stead.Error{Kind: stead.KindInvalid, Field: "pyproject.toml", Msg: "pyproject.toml cannot be parsed: " + plan.Plain(err.Error()),
			Hint: "check its TOML"}
	}
	if len(p.Project.Dependencies) == 0 && p.Tool.Poetry["dependencies"] != nil {
		return stead.Invalid("pyproject.toml", "pyproject.toml lists its dependencies in Poetry's own way, which Stead does not read",
			"run \"poetry export -o requirements.txt\" and push it too")
	}
	if len(p.Project.Dependencies) > maxRequirements {
		return stead.Invalid("pyproject.toml", "pyproject.toml lists more than 2000 packages", "list only what the app needs")
	}
	for _, d := range p.Project.Dependencies {
		n := normal(d)
		if n == "" || strings.ContainsAny(d, "\x00\n") || len(d) > 1000 {
			return stead.Invalid("pyproject.toml", "pyproject.toml lists "+plan.Plain(d)+", which is not a requirement", "write for example \"flask>=3\"")
		}
		a.names, a.args = append(a.names, n), append(a.args, d)
	}
	return nil
}

func (a *app) has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(a.names, n) })
}

func (a *app) findWheels(tree fs.FS) {
	for _, dir := range []string{"wheels", "vendor"} {
		if found, _ := fs.Glob(tree, dir+"/*.whl"); len(found) > 0 {
			a.wheels = dir
			return
		}
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// findDjango looks for the project's package beside manage.py.
func (a *app) findDjango(tree fs.FS) {
	if !plan.Has(tree, "manage.py") {
		return
	}
	found, _ := fs.Glob(tree, "*/wsgi.py")
	for _, f := range found {
		if dir := path.Dir(f); identifier.MatchString(dir) {
			a.django = dir
			break
		}
	}
	settings, _ := fs.Glob(tree, "*/settings.py")
	more, _ := fs.Glob(tree, "*/settings/*.py")
	for i, f := range append(settings, more...) {
		data, ok, err := plan.ReadFile(tree, f)
		if err == nil && ok && i < 20 && bytes.Contains(data, []byte("STATIC_ROOT")) {
			a.collect = a.has("django")
		}
	}
}

// start tells the web process. All names in it are from a fixed list or are
// identifiers.
func (a *app) start(tree fs.FS) stead.Command {
	file := plan.First(tree, "main.py", "app.py", "server.py", "wsgi.py", "asgi.py")
	module := strings.TrimSuffix(file, ".py")
	object := map[string]string{"wsgi": "application", "asgi": "application"}[module]
	if object == "" {
		object = "app"
	}
	switch {
	case a.django != "" && a.has("gunicorn"):
		return stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", a.django + ".wsgi"} // binds $PORT by itself
	case a.django != "":
		return stead.Shell("exec " + pythonBin + ` manage.py runserver --noreload "0.0.0.0:$PORT"`)
	case module != "" && a.has("uvicorn", "fastapi"):
		return stead.Shell("exec " + venv + "/bin/uvicorn " + module + ":" + object + ` --host 0.0.0.0 --port "$PORT"`)
	case module != "" && a.has("gunicorn"):
		return stead.Command{venv + "/bin/gunicorn", "--access-logfile=-", module + ":" + object}
	case module != "":
		return stead.Command{pythonBin, file}
	}
	return nil
}
