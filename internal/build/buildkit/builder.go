package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack"
	"github.com/steadpaas/stead/internal/supervise"
	"golang.org/x/sync/semaphore"
)

// Builder is a build.Builder and a build.Collector. Make it with Open; Run must
// be running while it is used.
type Builder struct {
	cfg    Config
	log    *slog.Logger
	groups *cgroups
	slots  *semaphore.Weighted
	stacks stacks
	detect func(fs.FS) (*pack.Detected, error)

	mu      sync.Mutex
	running map[string]caps // of the builds in progress
}

// What a Builder is.
var (
	_ build.Builder   = (*Builder)(nil)
	_ build.Collector = (*Builder)(nil)
)

// Caps of the daemon itself, builds' steps not counted.
var daemonCaps = caps{memory: 1 << 30, cpu: 2000, pids: 2000, weight: 50}

// stepWeight is the CPU weight of build steps: running apps go first.
const stepWeight = 20

// Open makes the builder's directories, control groups and the sandbox's
// description. It starts nothing: see Run.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Builder, error) {
	cfg = cfg.withDefaults()
	groups, err := openCgroups(cfg.Cgroup, cfg.UIDBase)
	if err != nil {
		return nil, err
	}
	if err := groups.limit("daemon", daemonCaps); err != nil {
		return nil, err
	}
	if err := cfg.prepare(groups); err != nil {
		return nil, fmt.Errorf("prepare build sandbox: %w", err)
	}
	if err := cfg.ownNamespaces(ctx); err != nil {
		return nil, fmt.Errorf("prepare build sandbox: %w", err)
	}
	if err := clean(cfg.path("source")); err != nil {
		return nil, fmt.Errorf("remove sources of earlier builds: %w", err)
	}
	b := &Builder{cfg: cfg, log: log, groups: groups, slots: semaphore.NewWeighted(int64(cfg.Parallel)), running: map[string]caps{}, detect: pack.Detect}
	return b, b.applyCaps()
}

// Run keeps the build daemon running until ctx ends, and then leaves it.
func (b *Builder) Run(ctx context.Context) error {
	return supervise.Run(ctx, b.cfg.spec(), b.log)
}

// Ready waits until the build daemon answers.
func (b *Builder) Ready(ctx context.Context) error {
	return supervise.AwaitReady(ctx, b.cfg.spec())
}

// Stop ends the build daemon and all that it runs. Caches stay.
func (b *Builder) Stop(ctx context.Context) error {
	return supervise.Stop(ctx, b.cfg.Dir, daemonName, 10*time.Second)
}

// Remove ends the daemon and removes its control groups and files.
func (b *Builder) Remove(ctx context.Context) error {
	err := errors.Join(b.Stop(ctx), b.groups.remove(), b.cfg.unpin())
	return errors.Join(err, os.RemoveAll(b.cfg.Dir))
}

// Detect tells what the tree is, without building.
func (b *Builder) Detect(_ context.Context, tree fs.FS) (build.Plan, error) {
	d, err := b.detect(tree)
	if err != nil {
		return build.Plan{}, err
	}
	return planOf(d), nil
}

func planOf(d *pack.Detected) build.Plan {
	return build.Plan{Pack: d.Pack, Summary: d.Summary, Processes: d.Processes, Notes: d.Notes, Wishes: d.Wishes, Findings: d.Findings}
}

// applyCaps gives the steps' group what the builds in progress may use in sum.
func (b *Builder) applyCaps() error {
	sum := caps{weight: stepWeight}
	for _, c := range b.running {
		sum.memory, sum.cpu, sum.pids = sum.memory+c.memory, sum.cpu+c.cpu, sum.pids+c.pids
	}
	if len(b.running) == 0 {
		sum.memory, sum.cpu, sum.pids = b.cfg.Limits.Memory, b.cfg.Limits.CPU, b.cfg.Limits.PIDs
	}
	return b.groups.limit("steps", sum)
}

// admit waits for a slot and adds the build to what the caps allow.
func (b *Builder) admit(ctx context.Context, id string, l build.Limits) (release func(), err error) {
	if err := b.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running[id] = caps{memory: l.Memory, cpu: l.CPU, pids: l.PIDs}
	release = func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.running, id)
		if err := b.applyCaps(); err != nil {
			b.log.Warn("build caps not lowered", "error", err)
		}
		b.slots.Release(1)
	}
	if err := b.applyCaps(); err != nil {
		delete(b.running, id)
		b.slots.Release(1)
		return nil, err
	}
	return release, nil
}

// connect dials the daemon; close the client.
func (b *Builder) connect(ctx context.Context) (*client.Client, error) {
	c, err := b.cfg.dial(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return c, nil
}

// clean empties a directory.
func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(dir+"/"+e.Name()))
	}
	return err
}
