// Package explain tells what a source is and asks for, by the same code that
// builds it, and builds nothing.
package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/semaphore"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/descriptor"
	"github.com/steadpaas/stead/internal/build/pack"
	"github.com/steadpaas/stead/internal/build/source"
)

// Explainer explains uploaded archives, few at a time.
type Explainer struct {
	dir    string
	limits source.Limits
	slots  *semaphore.Weighted
}

// atOnce is how many archives are unpacked at the same time.
const atOnce = 2

// New returns an Explainer that unpacks below dir, which it empties.
func New(dir string, l source.Limits) (*Explainer, error) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make directory for explanations: %w", err)
	}
	return &Explainer{dir: dir, limits: l, slots: semaphore.NewWeighted(atOnce)}, nil
}

// Explain reads a tar.gz of a tree. Nothing is left of it.
func (e *Explainer) Explain(ctx context.Context, r io.Reader) (stead.Explanation, error) {
	if err := e.slots.Acquire(ctx, 1); err != nil {
		return stead.Explanation{}, err
	}
	defer e.slots.Release(1)
	dir, err := os.MkdirTemp(e.dir, "tree")
	if err != nil {
		return stead.Explanation{}, fmt.Errorf("make directory for source: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := source.Unpack(ctx, r, dir, e.limits); err != nil {
		return stead.Explanation{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return stead.Explanation{}, fmt.Errorf("open source tree: %w", err)
	}
	defer root.Close()
	return Tree(root.FS())
}

// Tree explains a tree. A tree that cannot be built is explained, too: Problem
// says why.
func Tree(tree fs.FS) (x stead.Explanation, err error) {
	d, err := pack.Detect(tree)
	if err == nil {
		x = stead.Explanation{Pack: d.Pack, Summary: d.Summary, Processes: d.Processes, Wishes: d.Wishes, Findings: d.Findings, Notes: d.Notes}
	} else if e, ok := errors.AsType[*stead.Error](err); ok && e.Kind == stead.KindInvalid {
		x.Problem = e.Msg + "; " + e.Hint
		if app, err := descriptor.Read(tree); err == nil {
			x.Wishes, x.Findings = app.Wishes, app.Findings
		}
	} else {
		return x, err
	}
	if x.Findings == nil {
		x.Findings = []stead.Finding{}
	}
	return x, nil
}
