package buildkit

import (
	"context"
	"errors"

	"github.com/steadpaas/stead/internal/build"
)

func (j *job) takeImage(ctx context.Context) (build.Result, error) {
	return build.Result{}, errors.New("not yet")
}
