package containerd

import (
	"context"

	"github.com/steadpaas/stead"
)

// Ready reports whether containerd answers.
func (e *Engine) Ready(ctx context.Context) error {
	if _, err := e.client.Version(ctx); err != nil {
		return stead.Unavailable("containerd does not answer; what runs goes on", "it is started again by itself; if not, see engine/containerd.log in the data directory", err)
	}
	return nil
}
