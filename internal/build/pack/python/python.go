// Package python builds Python apps with Debian's Python: a virtual environment
// with what requirements.txt, a lock file of uv, Poetry, PDM or Pipenv, or
// pyproject.toml asks for, and the app's files. Lock files are read here and
// installed by pip, so that no further tool has to be fetched.
package python

import (
	_ "embed"
	"io/fs"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// lines are the Pythons of Debian's suites, the default first.
var lines = []plan.Line{{Version: "3.11", Suite: plan.Bookworm}, {Version: "3.13", Suite: plan.Trixie}}

//go:embed locked.py
var lockedScript string

const (
	venv      = "/app/.venv"
	pythonBin = venv + "/bin/python"
)

// Pack is the pack "python".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "python" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"requirements.txt", "pyproject.toml", "Pipfile"} }

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	procs := map[string]stead.Command{}
	if c := a.start(tree); c != nil {
		procs["web"] = c
	} else if !plan.Has(tree, "Procfile") {
		return nil, stead.Invalid("Procfile", "nothing says how to start this app: there is no main.py, app.py, server.py or wsgi.py and no Procfile",
			"add a Procfile, such as \"web: python main.py\"")
	}
	return &plan.Detected{Pack: "python", Summary: a.summary(), Processes: procs, Notes: a.notes, LLB: a.plan}, nil
}

// app is a detected app.
type app struct {
	line    plan.Line
	asked   plan.Asked
	lock    *lockFile // nil: requirements.txt, or args
	from    string    // the file that lists what to install
	names   []string  // of the distributions it lists, normalized
	args    []string  // requirements of pyproject.toml, for pip's arguments
	wheels  string    // directory of vendored wheels, or ""
	whole   bool      // installing needs the whole tree
	collect bool      // Django's collectstatic is to be run
	django  string    // the package that has wsgi.py, or ""
	notes   []string
}

func (a *app) install() bool { return len(a.names) > 0 || a.whole }

func (a *app) summary() string {
	s := "Python " + a.line.Version + " (" + a.from + ")"
	if a.asked.From != "" && a.asked.From != a.from {
		s = "Python " + a.line.Version + " (" + a.asked.From + "), " + a.from
	}
	switch {
	case !a.install():
		s += ", nothing to install"
	case a.wheels != "":
		s += ", wheels from " + a.wheels
	}
	return s
}

// plan is the image: Python, the virtual environment, the app's own files, in
// this order, from what changes least to what changes most.
func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	env := a.environment(in)
	st := plan.CopyApp(a.interpreter(in), env, venv, venv, "copy installed packages")
	if a.collect && !disabled(in, "DISABLE_COLLECTSTATIC") {
		full := plan.CopyApp(env, in.Source, "/", "/app", "copy the source", ".venv", ".git")
		full = full.Dir("/app").Run(in.Step("manage.py collectstatic", venv+"/bin", pythonBin, "manage.py", "collectstatic", "--noinput"),
			plan.Env("PYTHONPATH", modulePath), plan.Env("PYTHONDONTWRITEBYTECODE", "1")).Root()
		st = plan.CopyApp(st, full, "/app", "/app", "copy the app", ".venv", ".git")
	} else {
		st = plan.CopyApp(st, in.Source, "/", "/app", "copy the app", ".venv", ".git")
	}
	return plan.Output{State: st, Config: plan.Image([]string{venv + "/bin"},
		"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+modulePath, "VIRTUAL_ENV="+venv, "LANG=C.UTF-8")}, nil
}

const modulePath = "/app:/app/src"

func disabled(in plan.Inputs, name string) bool {
	_, set := in.BuildEnv[name]
	return set
}

// interpreter is the base image with Debian's Python. It is the same for all
// apps, and so made once.
func (a *app) interpreter(in plan.Inputs) llb.State {
	name := "python" + a.line.Version
	packages := []string{name, "lib" + name + "-stdlib"}
	if a.line.Suite == plan.Bookworm {
		packages = append(packages, "python3") // so that "python3" is there for scripts
	}
	return in.Install(in.Run, a.line.Suite, "Python "+a.line.Version, packages...)
}

// compilers is the build image with that Python; it has Debian's own already.
func (a *app) compilers(in plan.Inputs) llb.State {
	if a.line.Suite == plan.Bookworm {
		return in.Build.Dir("/app")
	}
	name := "python" + a.line.Version
	return in.Install(in.Build, a.line.Suite, "Python "+a.line.Version+" with its headers", name, name+"-venv", name+"-dev").Dir("/app")
}

// environment is the build image with the virtual environment in place. The
// step depends on the files that list what to install, and on no other.
func (a *app) environment(in plan.Inputs) llb.State {
	python := "python" + a.line.Version
	if !a.install() {
		return a.compilers(in).Run(plan.Tool("make virtual environment", "", python, "-m", "venv", "--without-pip", venv), plan.AsApp()).Root()
	}
	st := a.compilers(in).Run(plan.Tool("make virtual environment", "", python, "-m", "venv", venv), plan.AsApp()).Root()
	opts := []llb.RunOption{in.Step("pip install", venv+"/bin", a.pip()...), in.Cache("pip", "/cache/pip"), plan.Env("PIP_CACHE_DIR", "/cache/pip"),
		a.source(in), llb.Dir("/src")}
	if a.lock != nil {
		opts = append(opts, llb.AddMount("/locked", a.lock.files(), llb.Readonly))
	}
	if a.wheels == "" {
		opts = append(opts, in.Mirrored(plan.MirrorPyPI))
	}
	return st.Run(plan.Options(opts...)).Root().Dir("/app")
}

// pip is the command that installs.
func (a *app) pip() []string {
	more := []string{"--disable-pip-version-check", "--no-input", "--no-compile"}
	if a.wheels != "" {
		more = append(more, "--no-index", "--find-links", "/src/"+a.wheels)
	}
	if a.lock != nil {
		return append([]string{pythonBin, "-c", lockedScript, "/locked/requirements", "/locked/constraints", "/locked/hashes"}, more...)
	}
	argv := append([]string{pythonBin, "-m", "pip", "install"}, more...)
	if a.from == "requirements.txt" {
		return append(argv, "-r", "/src/requirements.txt")
	}
	return append(append(argv, "--"), a.args...)
}

// source mounts what installing needs of the tree at /src.
func (a *app) source(in plan.Inputs) llb.RunOption {
	if a.whole {
		return in.Work("/src")
	}
	var names []string
	if a.from == "requirements.txt" {
		names = append(names, a.from)
	}
	if a.wheels != "" {
		names = append(names, a.wheels)
	}
	if len(names) == 0 {
		return llb.AddMount("/src", llb.Scratch(), llb.Readonly)
	}
	return llb.AddMount("/src", plan.CopyFiles(llb.Scratch(), in.Source, "/", "copy the list of packages", names...), llb.Readonly)
}

// files are the lock file's content for the step that installs it. What else is
// in a lock file does not make the step run again.
func (l *lockFile) files() llb.State {
	text := func(lines []string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }
	return llb.Scratch().File(llb.Mkfile("/requirements", 0o644, text(l.requirements)).
		Mkfile("/constraints", 0o644, text(l.constraints)).Mkfile("/hashes", 0o644, text(l.hashes)), llb.WithCustomName("write the locked packages"))
}
