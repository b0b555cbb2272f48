package node

import (
	"io/fs"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Tool is Node.js for the assets of an app in another language.
type Tool struct{ app *app }

// Beside returns nil when the tree has no package.json.
func Beside(tree fs.FS) (*Tool, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	return &Tool{a}, nil
}

// Path are its directories in a step that has it mounted.
func (t *Tool) Path() string { return toolPath }

// Script is the build script of package.json, or "".
func (t *Tool) Script() string { return t.app.build }

// Installed is a build image with the packages of package.json in /app,
// development's included.
func (t *Tool) Installed(in plan.Inputs, st llb.State) (llb.State, error) {
	rt, err := t.app.runtime(in)
	if err != nil {
		return st, err
	}
	in.Build = st
	a := *t.app
	if a.build == "" {
		a.build = "build" // so that what only building needs is there
	}
	return newBuilder(&a, in, rt).install(), nil
}

// Built runs the build script in /app of a build image that has the packages
// and the source.
func (t *Tool) Built(in plan.Inputs, st llb.State) (llb.State, error) {
	rt, err := t.app.runtime(in)
	if err != nil {
		return st, err
	}
	b := newBuilder(t.app, in, rt)
	return b.run(st, "run script "+t.app.build, t.app.manager.name, "run", t.app.build), nil
}

// Mounted puts Node.js and the package manager in a step.
func (t *Tool) Mounted(in plan.Inputs) llb.RunOption {
	rt, err := t.app.runtime(in)
	if err != nil {
		return plan.Options() // Installed has said it
	}
	return newBuilder(t.app, in, rt).mounts()
}
