package buildkit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/stack"
)

// Stacks are the base images' references in the platform's registry.
type Stacks struct{ Run, Build string }

type stacks struct {
	mu    sync.Mutex
	found Stacks
	at    time.Time
}

// Stacks makes sure that the registry has the base images, and returns them.
// The first time on a machine this takes a minute or two; progress goes to say,
// which may be nil. Call it when the platform starts, so that no build waits.
func (b *Builder) Stacks(ctx context.Context, say func(string)) (Stacks, error) {
	b.stacks.mu.Lock()
	defer b.stacks.mu.Unlock()
	if time.Since(b.stacks.at) < time.Minute {
		return b.stacks.found, nil
	}
	store := stack.Store{Registry: b.cfg.Registry, CacheDir: b.cfg.StackCache, Apt: b.cfg.Mirrors[build.MirrorApt], Say: say, Logger: b.log}
	run, err := store.Run(ctx)
	if err != nil {
		return Stacks{}, err
	}
	made, err := store.Build(ctx, func(ctx context.Context, ref string) error { return b.buildStack(ctx, run, ref, say) })
	if err != nil {
		return Stacks{}, err
	}
	b.stacks.found, b.stacks.at = Stacks{run, made}, time.Now()
	return b.stacks.found, nil
}

// Warm has the daemon unpack the base images, which takes long and cannot be
// interrupted, so that the first build need not wait for it.
func (b *Builder) Warm(ctx context.Context) error {
	base, err := b.Stacks(ctx, nil)
	if err != nil {
		return err
	}
	config := stack.Config()
	for _, ref := range []string{base.Run, base.Build} {
		state := b.base(ref).Run(llb.Args([]string{"/bin/true"}), llb.WithCustomName("[internal] unpack "+ref)).Root()
		def, err := state.Marshal(ctx, llb.Platform(platform()))
		if err != nil {
			return fmt.Errorf("plan warming: %w", err)
		}
		s := solution{def: def, config: &config, repository: "stacks/warm", tag: "last"}
		if _, err := b.solve(ctx, s, time.Now().Add(time.Hour), newPrinter(nil)); err != nil {
			return fmt.Errorf("unpack base image: %w", err)
		}
	}
	return nil
}

// buildStack makes the build image in the sandbox and pushes it to ref.
func (b *Builder) buildStack(ctx context.Context, run, ref string, say func(string)) error {
	state := stack.BuildLLB(b.base(run))
	def, err := state.Marshal(ctx, llb.Platform(platform()))
	if err != nil {
		return fmt.Errorf("plan build image: %w", err)
	}
	config := stack.Config()
	repository, tag, _ := strings.Cut(ref, ":")
	_, err = b.solve(ctx, solution{def: def, config: &config, repository: repository, tag: tag}, time.Now().Add(time.Hour), newPrinter(say))
	return err
}
