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
	a := &app{from: plan.First(tree, "requirements.txt", "Pipfile.lock", "pyproject.toml", "Pipfile")}
	var err error
	switch a.from {
	case "":
		return nil, nil
	case "requirements.txt":
		err = a.readRequirements(tree)
	case "Pipfile.lock":
		err = a.readPipfileLock(tree)
	case "pyproject.toml":
		err = a.readProject(tree)
	case "Pipfile":
		err = a.readPipfile(tree)
	}
	if err != nil {
		return nil, err
	}
	if err := a.version(tree); err != nil {
		return nil, err
	}
	a.findWheels(tree)
	a.findDjango(tree)
	for _, name := range append([]string{"Pipfile.lock"}, lockNames...) {
		if name != a.from && plan.Has(tree, name) {
			a.notes = append(a.notes, name+" is not used: packages are installed from "+a.from)
		}
	}
	return a, nil
}

// version reads runtime.txt, .python-version or .tool-versions, else what the
// project itself says.
func (a *app) version(tree fs.FS) (err error) {
	asked, err := plan.AskedIn(tree, []string{"runtime.txt", ".python-version"}, []string{"python"}, "python-", "cpython-")
	if err != nil {
		return err
	}
	if asked.Version != "" {
		a.asked = asked
	}
	a.line, err = plan.Choose("Python", lines, a.asked)
	return err
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

// readProject takes what a lock file beside pyproject.toml says, else the
// dependencies that pyproject.toml lists; the project itself runs from its files.
func (a *app) readProject(tree fs.FS) error {
	p, err := readPyproject(tree)
	if err != nil {
		return err
	}
	if a.args, err = p.requirements(); err != nil {
		return err
	}
	if v := p.python(); v != "" {
		a.asked = plan.Asked{Version: v, From: "pyproject.toml"}
	}
	for _, d := range a.args {
		a.names = append(a.names, normal(d))
	}
	name := plan.First(tree, lockNames...)
	if name == "" {
		if len(a.args) > 0 {
			a.notes = append(a.notes, "there is no lock file: two builds of the same source may install different versions; commit one of uv, Poetry or PDM")
		}
		return nil
	}
	a.from = name
	if a.lock, err = readLock(tree, name, a.args); err != nil {
		return err
	}
	a.takeLock()
	return nil
}

func (a *app) readPipfileLock(tree fs.FS) (err error) {
	v := ""
	if a.lock, v, err = readPipfileLock(tree); err != nil {
		return err
	}
	if v != "" {
		a.asked = plan.Asked{Version: v, From: "Pipfile.lock"}
	}
	a.takeLock()
	return nil
}

func (a *app) takeLock() {
	a.whole = a.lock.whole
	a.names = nil
	for _, c := range a.lock.constraints {
		a.names = append(a.names, normal(c))
	}
	if len(a.lock.requirements) == 0 {
		a.lock, a.names, a.args = nil, nil, nil
	}
}

// readPipfile takes the packages of a Pipfile that has no lock.
func (a *app) readPipfile(tree fs.FS) error {
	data, _, err := plan.ReadFile(tree, "Pipfile")
	if err != nil {
		return err
	}
	var p struct {
		Packages map[string]any `toml:"packages"`
		Requires struct {
			Version string `toml:"python_version"`
		} `toml:"requires"`
	}
	if err := toml.Unmarshal(data, &p); err != nil {
		return stead.Invalid("Pipfile", "Pipfile cannot be parsed: "+plan.Plain(err.Error()), "check its TOML")
	}
	for _, name := range sortedKeys(p.Packages) {
		line, err := poetryRequirement(name, p.Packages[name])
		if err != nil || normal(line) == "" || len(a.args) > maxRequirements {
			return stead.Invalid("Pipfile", "the Pipfile asks for "+plan.Plain(name)+" in a way that is not understood", "run \"pipenv lock\" and commit Pipfile.lock")
		}
		a.args, a.names = append(a.args, line), append(a.names, normal(line))
	}
	if p.Requires.Version != "" {
		a.asked = plan.Asked{Version: p.Requires.Version, From: "Pipfile"}
	}
	a.notes = append(a.notes, "there is no Pipfile.lock: two builds of the same source may install different versions; commit it")
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
