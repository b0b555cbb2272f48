package buildkit

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client"
)

// Collect prunes the build cache to its budget. The registry is collected by
// its own Collect, which knows what is kept.
func (b *Builder) Collect(ctx context.Context, _ []string) (freed int64, err error) {
	c, err := b.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	removed := make(chan client.UsageInfo)
	summed := make(chan struct{})
	go func() {
		defer close(summed)
		for u := range removed {
			freed += u.Size
		}
	}()
	err = c.Prune(ctx, removed, client.PruneAll, client.WithKeepOpt(0, b.cfg.CacheBytes/10, b.cfg.CacheBytes, b.cfg.MinFree))
	close(removed)
	<-summed
	if err != nil {
		return freed, fmt.Errorf("prune build cache: %w", err)
	}
	b.log.Info("build cache pruned", "freed", freed)
	return freed, nil
}
