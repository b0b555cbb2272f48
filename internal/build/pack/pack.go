// Package pack turns a source tree into a plan for its image. Each language
// has a package of its own below; the words they share are in package plan.
package pack

import (
	"io/fs"

	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// The words of package plan, for those who solve plans.
type (
	Pack     = plan.Pack
	Detected = plan.Detected
	Inputs   = plan.Inputs
	Output   = plan.Output
)

// Detect tells what the tree is, by the first pack that knows it. A Procfile
// replaces the pack's processes, whatever the pack. The tree is hostile.
func Detect(tree fs.FS) (*Detected, error) {
	procs, err := procfile(tree)
	if err != nil {
		return nil, err
	}
	for _, p := range packs() {
		d, err := p.Detect(tree)
		if err != nil {
			return nil, err
		}
		if d != nil {
			return withProcfile(d, procs), nil
		}
	}
	return nil, nothingFound(procs)
}
