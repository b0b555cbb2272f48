// Package python builds Python apps with Debian's Python: a virtual environment
// with what requirements.txt (or pyproject.toml) asks for, and the app's files.
package python

import (
	"io/fs"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Version is what Debian 12 has.
const Version = "3.11"

const (
	venv      = "/app/.venv"
	pythonBin = venv + "/bin/python"
)

// Pack is the pack "python".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "python" }

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
	from    string   // the file that lists what to install
	names   []string // of the distributions it lists, normalized
	args    []string // requirements of pyproject.toml, for pip's arguments
	wheels  string   // directory of vendored wheels, or ""
	whole   bool     // installing needs the whole tree
	collect bool     // Django's collectstatic is to be run
	django  string   // the package that has wsgi.py, or ""
	notes   []string
}

func (a *app) install() bool { return len(a.names) > 0 || a.whole }

func (a *app) summary() string {
	s := "Python " + Version + " (" + a.from + ")"
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
	st := plan.CopyApp(interpreter(in), env, venv, venv, "copy installed packages")
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
func interpreter(in plan.Inputs) llb.State {
	return in.Install(in.Run, plan.Bookworm, "Python "+Version, "python3", "libpython3-stdlib")
}

// environment is the build image with the virtual environment in place. The
// step depends on the files that list what to install, and on no other.
func (a *app) environment(in plan.Inputs) llb.State {
	st := in.Build.Dir("/app")
	if !a.install() {
		return st.Run(plan.Tool("make virtual environment", "", "python3", "-m", "venv", "--without-pip", venv), plan.AsApp()).Root()
	}
	st = st.Run(plan.Tool("make virtual environment", "", "python3", "-m", "venv", venv), plan.AsApp()).Root()
	src := in.Source
	if !a.whole {
		names := []string{a.from}
		if a.wheels != "" {
			names = append(names, a.wheels)
		}
		src = plan.CopyFiles(llb.Scratch(), in.Source, "/", "copy the list of packages", names...)
	}
	argv := []string{pythonBin, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile", "--root-user-action=ignore"}
	if a.wheels != "" {
		argv = append(argv, "--no-index", "--find-links", "/src/"+a.wheels)
	}
	if a.from == "requirements.txt" {
		argv = append(argv, "-r", "/src/requirements.txt")
	} else {
		argv = append(append(argv, "--"), a.args...)
	}
	opts := []llb.RunOption{in.Step("pip install", venv+"/bin", argv...), in.Cache("pip", "/cache/pip"), plan.Env("PIP_CACHE_DIR", "/cache/pip"),
		llb.AddMount("/src", src, llb.Readonly), llb.Dir("/src")}
	if a.whole {
		opts[3] = in.Work("/src")
	}
	if a.wheels == "" {
		opts = append(opts, in.Mirrored(plan.MirrorPyPI))
	}
	return st.Run(plan.Options(opts...)).Root().Dir("/app")
}
