package pack

import (
	"io/fs"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// packs are tried in order.
func packs() []Pack {
	return []Pack{}
}

func procfile(tree fs.FS) (map[string]stead.Command, error) {
	data, ok, err := plan.ReadFile(tree, "Procfile")
	if err != nil || !ok {
		return nil, err
	}
	return stead.ParseProcfile(data)
}

func withProcfile(d *Detected, procs map[string]stead.Command) *Detected {
	if len(procs) > 0 {
		d.Processes = procs
	}
	return d
}

func nothingFound(procs map[string]stead.Command) error {
	msg := "nothing in the source tells how to build it: no Dockerfile, go.mod, package.json, " +
		"requirements.txt, pyproject.toml, Pipfile, index.html or executable was found at its root"
	if len(procs) > 0 {
		msg += " (only a Procfile)"
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: "source", Msg: msg,
		Hint: "push the directory that holds one of them, add a Dockerfile, or commit a Linux executable and a Procfile that starts it"}
}
