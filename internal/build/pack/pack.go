// Package pack turns a source tree into a plan for its image. Each language
// has a package of its own below; the words they share are in package plan.
package pack

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/steadpaas/stead/internal/build/descriptor"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// The words of package plan, for those who solve plans.
type (
	Pack     = plan.Pack
	Detected = plan.Detected
	Inputs   = plan.Inputs
	Output   = plan.Output
)

// Detect tells what the tree is, by the first pack that knows it, and what its
// descriptors say. A Procfile replaces the pack's processes, whatever the pack.
// The tree is hostile.
func Detect(tree fs.FS) (*Detected, error) {
	app, err := descriptor.Read(tree)
	if err != nil {
		return nil, err
	}
	d, err := described(tree, app)
	if err != nil {
		return nil, err
	}
	if d != nil {
		return withDescriptors(d, app), nil
	}
	tree = seen(tree, app)
	for i, p := range packs() {
		d, err := p.Detect(tree)
		if err != nil {
			return nil, err
		}
		if d != nil {
			d.Notes = append(d.Notes, others(tree, d, packs()[i+1:])...)
			return withDescriptors(d, app), nil
		}
	}
	return nil, nothingFound(tree, app.Commands())
}

// others notes which other packs know the tree. Those that any tree may match
// by accident are not worth a note, nor is any beside a Dockerfile: who wrote
// one knows.
func others(tree fs.FS, chosen *Detected, rest []Pack) []string {
	var names []string
	for _, p := range rest {
		if chosen.Pack == "dockerfile" || p.Name() == "binary" || p.Name() == "static" || slices.Contains(chosen.With, p.Name()) {
			continue
		}
		for _, mark := range p.Marks() {
			if plan.Has(tree, mark) {
				names = append(names, mark+" ("+p.Name()+")")
				break
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"there is also " + strings.Join(names, ", ") + "; " + chosen.Pack + " is what this app is built as, because it comes first in the list of packs"}
}
