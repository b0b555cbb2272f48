package platform

import (
	"context"
	"io"

	"github.com/steadpaas/stead"
)

// Explainer tells what a source is and asks for, without building it.
type Explainer interface {
	// Explain reads a tar.gz of a tree, which is hostile.
	Explain(ctx context.Context, r io.Reader) (stead.Explanation, error)
}

// Explain tells what an uploaded tree is and asks for. Nothing is kept of it,
// and it belongs to no app: anybody who is logged in may ask.
func (p *Platform) Explain(ctx context.Context, r io.Reader) (stead.Explanation, error) {
	if err := p.view(ctx, func(w *work) error { return nil }); err != nil {
		return stead.Explanation{}, err
	}
	if p.d.Explainer == nil {
		return stead.Explanation{}, stead.Unavailable("the platform explains no sources", "start it with a builder", nil)
	}
	return p.d.Explainer.Explain(ctx, io.LimitReader(r, MaxSource))
}
