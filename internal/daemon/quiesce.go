package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steadpaas/stead/internal/build/buildkit"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/containerd"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/supervise"
)

// quiesceLimit bounds the orderly stop of all instances.
const quiesceLimit = 2 * time.Minute

// quiesce stops every instance in order, then the engine and the build daemon;
// their data stays. The control plane must not run. When it starts again, it
// asks for the workloads anew.
func (c Config) quiesce(ctx context.Context, log *slog.Logger) error {
	return c.withMachinery(ctx, log, func(ctx context.Context, _ *network.Network, e *containerd.Engine, b *buildkit.Builder) error {
		err := deleteAll(ctx, e)
		if c.Containerd == "" {
			err = errors.Join(err, supervise.Stop(ctx, c.path("engine"), "containerd", 10*time.Second))
		}
		return errors.Join(err, b.Stop(ctx))
	})
}

// deleteAll runs the engine until it has no workload left.
func deleteAll(ctx context.Context, e *containerd.Engine) error {
	ctx, cancel := context.WithTimeout(ctx, quiesceLimit)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.Run(ctx) })
	g.Go(func() error {
		defer cancel()
		return deleteSeen(ctx, e)
	})
	return g.Wait()
}

// deleteSeen deletes each workload that the engine tells of and returns when no
// instance is left.
func deleteSeen(ctx context.Context, e engine.Engine) error {
	alive := map[string]bool{}
	asked := map[string]bool{}
	synced := false
	for st, err := range e.Watch(ctx) {
		if err != nil {
			return err
		}
		switch {
		case st.Synced:
			synced = true
		case st.State == engine.StateGone:
			delete(alive, st.Instance)
		default:
			alive[st.Instance] = true
			if !asked[st.Workload] {
				asked[st.Workload] = true
				if err := e.Delete(ctx, st.Workload); err != nil {
					return err
				}
			}
		}
		if synced && len(alive) == 0 {
			return nil
		}
	}
	return ctx.Err()
}
