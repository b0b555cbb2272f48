package containerd

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"sync"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/supervise"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

// Engine is the engine for this machine. It implements engine.Engine,
// engine.Sampler and engine.Collector.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	hub    *hub
	tails  *tails
	pulls  singleflight.Group
	images sync.Map      // reference → *imageInfo
	starts chan struct{} // a token for each start at a time
	wake   chan struct{} // something in workloads changed
	ready  chan struct{} // closed when what ran before is adopted

	mu        sync.Mutex
	client    *client.Client
	workloads map[string]*workload
}

// workload is a record and the loops of its instances.
type workload struct {
	record
	instances map[int]*instance
}

var (
	_ engine.Engine    = (*Engine)(nil)
	_ engine.Sampler   = (*Engine)(nil)
	_ engine.Collector = (*Engine)(nil)
)

// Open reads what the engine kept. Nothing happens before Run.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"workloads", "output", "files"} {
		if err := os.MkdirAll(cfg.path(dir), 0o711); err != nil {
			return nil, fmt.Errorf("make engine directory: %w", err)
		}
	}
	records, memories, err := cfg.load()
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: cfg.log(log), hub: newHub(), starts: make(chan struct{}, 2*runtime.NumCPU()),
		wake: make(chan struct{}, 1), ready: make(chan struct{}), workloads: map[string]*workload{}}
	e.tails = newTails(e)
	for id, r := range records {
		w := &workload{record: r, instances: map[int]*instance{}}
		for index, m := range memories[id] {
			w.instances[index] = e.newInstance(r.Workload, index, m)
		}
		e.workloads[id] = w
		e.adjust(w)
	}
	return e, nil
}

// Run keeps the workloads until ctx ends; then it leaves them running.
func (e *Engine) Run(ctx context.Context) error {
	for _, dir := range []string{e.cfg.Dir, e.cfg.RunDir} {
		if err := checkPassage(dir); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	if e.cfg.Address == "" {
		spec, err := e.daemon()
		if err != nil {
			return err
		}
		g.Go(func() error { return supervise.Run(ctx, spec, e.log) })
	}
	g.Go(func() error { return e.tails.run(ctx) })
	g.Go(func() error { return e.keep(ctx, g) })
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// keep connects, adopts, and starts a loop for each instance as they come.
func (e *Engine) keep(ctx context.Context, g *errgroup.Group) error {
	c, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := e.able(ctx, c); err != nil {
		return err
	}
	e.mu.Lock()
	e.client = c
	e.mu.Unlock()
	e.dropLeases(ctx)
	e.tellAdopted()
	close(e.ready)
	sweep := time.NewTicker(5 * time.Minute)
	defer sweep.Stop()
	g.Go(func() error { return e.sweep(ctx) })
	g.Go(func() error { return e.keepSpare(ctx) })
	if e.cfg.Address == "" {
		g.Go(func() error { return e.keepWarm(ctx) })
	}
	for {
		for _, i := range e.unstarted() {
			g.Go(func() error { return i.run(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-sweep.C:
			g.Go(func() error { return e.sweep(ctx) })
		}
	}
}

// keepSpare keeps some endpoints ready.
func (e *Engine) keepSpare(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for e.cfg.Spare > 0 {
		if err := e.cfg.Network.Prepare(ctx, e.cfg.Spare); err != nil && ctx.Err() == nil {
			e.log.Warn("no endpoint prepared", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

// unstarted returns the instances that have no loop yet, and marks them.
func (e *Engine) unstarted() []*instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*instance
	for id, w := range e.workloads {
		if w.Deleted && len(w.instances) == 0 {
			e.forget(id)
		}
		for _, i := range w.instances {
			if !i.looping {
				i.looping = true
				out = append(out, i)
			}
		}
	}
	return out
}

// forget removes the last traces of a workload. e.mu is held.
func (e *Engine) forget(id string) {
	delete(e.workloads, id)
	if err := os.RemoveAll(e.cfg.workloadDir(id)); err != nil {
		e.log.Warn("record not removed", "workload", id, "error", err)
	}
}

// tellAdopted publishes what is known of the instances before their loops run.
func (e *Engine) tellAdopted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.workloads {
		for _, i := range w.instances {
			e.hub.publish(i.status(nil))
		}
	}
}

var workloadID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,119}$`)

// Apply implements engine.Engine.
func (e *Engine) Apply(ctx context.Context, w engine.Workload) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(w); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	have := e.workloads[w.ID]
	switch {
	case have == nil:
		have = &workload{record: record{Workload: w}, instances: map[int]*instance{}}
	case have.Deleted:
		return stead.Conflict("workload "+w.ID+" is being deleted", "use a new id; ids are never used again")
	case have.Workload.Replicas == w.Replicas:
		return nil
	}
	changed := have.record
	changed.Workload.Replicas = w.Replicas
	if err := e.cfg.saveRecord(changed); err != nil {
		return fmt.Errorf("record workload: %w", err)
	}
	have.record = changed
	e.workloads[w.ID] = have
	e.adjust(have)
	e.poke()
	return nil
}

func check(w engine.Workload) error {
	switch {
	case !workloadID.MatchString(w.ID):
		return stead.Invalid("id", "the workload's id is not usable", "use at most 120 letters, digits, - and .")
	case w.Replicas < 0 || w.Replicas > stead.MaxQuantity:
		return stead.Invalid("replicas", fmt.Sprintf("%d replicas are out of range", w.Replicas), fmt.Sprintf("ask for 0 to %d", stead.MaxQuantity))
	case w.Port < 0 || w.Port > 65535:
		return stead.Invalid("port", fmt.Sprintf("%d is not a port", w.Port), "use 1 to 65535")
	case w.Image == "":
		return stead.Invalid("image", "the workload has no image", "build or name one first")
	}
	return stead.CheckProcessType("process", w.Process)
}

// adjust makes the instances of a workload as many as asked. e.mu is held, or
// nobody else knows e yet.
func (e *Engine) adjust(w *workload) {
	first, end := w.Workload.FirstIndex, w.Workload.FirstIndex+w.Workload.Replicas
	if w.Deleted {
		end = first
	}
	for index, i := range w.instances {
		if index >= end || index < first {
			i.halt()
		}
	}
	for index := first; index < end; index++ {
		// One that still stops is followed by a new one when it is gone.
		if w.instances[index] == nil {
			i := e.newInstance(w.Workload, index, memory{State: engine.StateStarting, Since: time.Now()})
			w.instances[index] = i
			e.hub.publish(i.status(nil))
		}
	}
}

// Delete implements engine.Engine.
func (e *Engine) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.workloads[id]
	if w == nil || w.Deleted {
		return nil
	}
	changed := w.record
	changed.Deleted = true
	if err := e.cfg.saveRecord(changed); err != nil {
		return fmt.Errorf("record deletion: %w", err)
	}
	w.record = changed
	e.adjust(w)
	e.poke()
	return nil
}

// Watch implements engine.Engine. The snapshot waits until what ran before is
// adopted.
func (e *Engine) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		select {
		case <-ctx.Done():
			return
		case <-e.ready:
		}
		for s, err := range e.hub.watch(ctx) {
			if !yield(s, err) {
				return
			}
		}
	}
}

// gone ends an instance for good, and makes its successor if it is wanted again.
func (e *Engine) gone(i *instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.cfg.dropMemory(i.w.ID, i.index); err != nil {
		e.log.Warn("record not removed", "instance", i.id, "error", err)
	}
	i.mu.Lock()
	i.mem.State, i.mem.Since = engine.StateGone, time.Now()
	i.mu.Unlock()
	e.hub.publish(i.status(nil))
	if w := e.workloads[i.w.ID]; w != nil {
		delete(w.instances, i.index)
		e.adjust(w)
	}
	e.poke()
}

func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) instance(id string) *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.workloads {
		for _, i := range w.instances {
			if i.id == id {
				return i
			}
		}
	}
	return nil
}

func (e *Engine) containerd() *client.Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.client
}

func arch() string { return runtime.GOARCH }
