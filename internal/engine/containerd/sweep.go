package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// sweep removes what belongs to no instance: containers, snapshots, endpoints,
// directories and shims of starts that were cut short. It touches only what
// bears this platform's mark.
func (e *Engine) sweep(ctx context.Context) error {
	for id := range e.strays(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		if !e.known()[id] { // it may have been taken meanwhile
			e.log.Info("stray container removed", "container", id)
			e.clear(ctx, id)
		}
	}
	e.sweepShims()
	return nil
}

// dropLeases ends the leases of pulls that were cut short, which would keep
// what they had fetched for a day. Nothing is being pulled yet.
func (e *Engine) dropLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	held, err := e.containerd().LeasesService().List(ctx)
	if err != nil {
		e.log.Warn("leases not listed", "error", err)
	}
	for _, l := range held {
		if err := e.containerd().LeasesService().Delete(ctx, l); err != nil && !errdefs.IsNotFound(err) {
			e.log.Warn("lease not removed", "lease", l.ID, "error", err)
		}
	}
}

// known returns the containers of all instances.
func (e *Engine) known() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]bool{}
	for _, w := range e.workloads {
		for _, i := range w.instances {
			if c := i.container(); c != "" {
				out[c] = true
			}
		}
	}
	return out
}

func (e *Engine) strays(ctx context.Context) map[string]bool {
	c, found := e.containerd(), map[string]bool{}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	list, err := c.Containers(ctx, "labels.\""+labelPlatform+"\"=="+e.cfg.ID)
	if err != nil {
		e.log.Warn("containers not listed", "error", err)
	}
	for _, k := range list {
		found[k.ID()] = true
	}
	_ = c.SnapshotService(snapshotter).Walk(ctx, func(_ context.Context, s snapshots.Info) error {
		if s.Kind == snapshots.KindActive {
			found[s.Name] = true
		}
		return nil
	}, "labels.\""+labelPlatform+"\"=="+e.cfg.ID)
	for _, name := range e.cfg.Network.Names() {
		if id, ours := strings.CutPrefix(name, endpointMark); ours {
			found[id] = true
		}
	}
	for _, dir := range []string{e.cfg.path("files"), e.cfg.path("output"), filepath.Dir(e.envFile("any"))} {
		entries, _ := os.ReadDir(dir)
		for _, d := range entries {
			found[d.Name()] = true
		}
	}
	known := e.known()
	for id := range found {
		if known[id] {
			delete(found, id)
		}
	}
	return found
}
