package buildkit

import (
	"context"

	"github.com/steadpaas/stead/internal/build"
)

func (b *Builder) Build(ctx context.Context, req build.Request) (build.Result, error) {
	return build.Result{}, nil
}
func (b *Builder) Collect(ctx context.Context, keep []string) (int64, error) { return 0, nil }
