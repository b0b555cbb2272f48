// Package fake is an engine in memory, for tests and for "steadd serve --engine
// fake": instances start at once, and those that have a port are real HTTP
// servers on loopback. It keeps the whole contract of package engine but
// isolation, and understands a few commands only, see command.go.
package fake

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

// FailBoot in a workload's image reference makes its instances fail to bind.
const FailBoot = "fail-boot"

// Engine is the engine. Make it with New, end it with Close.
type Engine struct {
	lines logs.Appender
	log   *slog.Logger
	ctx   context.Context // of everything that runs; ends with Close
	end   context.CancelFunc
	wg    sync.WaitGroup

	// Backoff is the wait before a crashed instance's first new start; each
	// further wait is twice as long, up to 64 times. Set it before the first Apply.
	Backoff time.Duration

	mu        sync.Mutex
	seq       int
	workloads map[string]*engine.Workload
	instances []*instance // in the order they were made
	watchers  map[*watcher]struct{}
}

// New returns an engine without workloads. The output of instances goes to
// lines, which may be nil.
func New(lines logs.Appender, log *slog.Logger) *Engine {
	ctx, end := context.WithCancel(context.Background())
	return &Engine{lines: lines, log: log, ctx: ctx, end: end, Backoff: 100 * time.Millisecond,
		workloads: map[string]*engine.Workload{}, watchers: map[*watcher]struct{}{}}
}

// Close stops all instances and returns when nothing of the engine runs any more.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.end()
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}

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
	if e.ctx.Err() != nil {
		return stead.Unavailable("the engine is closed", "try again when the platform is up", e.ctx.Err())
	}
	known := e.workloads[w.ID]
	if known == nil {
		known = &w
		e.workloads[w.ID] = known
	}
	known.Replicas = w.Replicas
	e.scale(known)
	return nil
}

func check(w engine.Workload) error {
	if w.ID == "" || len(w.ID) > 120 {
		return stead.Invalid("id", fmt.Sprintf("%.140q cannot name a workload", w.ID), "use 1 to 120 letters, digits, - and .")
	}
	for _, c := range []byte(w.ID) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return stead.Invalid("id", fmt.Sprintf("%q cannot name a workload", w.ID), "use letters, digits, - and .")
		}
	}
	if w.Replicas < 0 || w.Replicas > stead.MaxQuantity {
		return stead.Invalid("replicas", fmt.Sprintf("a workload cannot have %d replicas", w.Replicas), "choose 0 to 500")
	}
	return nil
}

// scale starts and stops instances of a workload. e.mu is held.
func (e *Engine) scale(w *engine.Workload) {
	end := w.FirstIndex + w.Replicas
	have := map[int]bool{}
	for _, i := range slices.Backward(slices.Clone(e.instances)) {
		if i.w.ID != w.ID || i.stopping {
			continue
		}
		if have[i.index] = true; i.index >= end {
			e.stop(i)
		}
	}
	for n := w.FirstIndex; n < end; n++ {
		if !have[n] {
			e.start(w, n)
		}
	}
}

func (e *Engine) start(w *engine.Workload, index int) {
	e.seq++
	ctx, cancel := context.WithCancel(e.ctx)
	name := fmt.Sprintf("%s.%d", w.Process, index)
	i := &instance{e: e, w: *w, index: index, ctx: ctx, cancel: cancel, kill: make(chan exit, 1),
		status: engine.Status{Workload: w.ID, Instance: fmt.Sprintf("%s-%d-%d", w.ID, index, e.seq), Name: name, Node: "fake"}}
	e.instances = append(e.instances, i)
	e.set(i, engine.StateStarting, exit{})
	e.wg.Go(i.run)
}

func (e *Engine) stop(i *instance) {
	i.stopping = true
	e.set(i, engine.StateStopping, exit{cause: i.status.Cause, reason: i.status.Reason, code: i.status.ExitCode})
	i.cancel()
}

// Delete implements engine.Engine.
func (e *Engine) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.workloads[id]
	if w == nil {
		return nil
	}
	delete(e.workloads, id)
	for _, i := range slices.Backward(slices.Clone(e.instances)) {
		if i.w.ID == id && !i.stopping {
			e.stop(i)
		}
	}
	return nil
}

// set records a change of an instance and tells the watchers. e.mu is held.
func (e *Engine) set(i *instance, s engine.State, x exit) {
	i.status.State, i.status.Since = s, time.Now()
	i.status.Cause, i.status.Reason = x.cause, x.reason
	if x.code != nil {
		i.status.ExitCode = x.code
	}
	if s != engine.StateUp {
		i.status.Stages = nil
	}
	for w := range e.watchers {
		w.push(i.status)
	}
}

// update is set for callers that do not hold e.mu. An instance that is being
// stopped only goes on to gone.
func (e *Engine) update(i *instance, s engine.State, x exit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s == engine.StateGone {
		e.instances = slices.DeleteFunc(e.instances, func(o *instance) bool { return o == i })
	} else if i.stopping {
		return
	}
	e.set(i, s, x)
}

// watcher is a queue of what one Watch has yet to tell.
type watcher struct {
	queue []engine.Status // guarded by Engine.mu
	ready chan struct{}
}

func (w *watcher) push(s engine.Status) {
	w.queue = append(w.queue, s)
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// Watch implements engine.Engine.
func (e *Engine) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		w := &watcher{ready: make(chan struct{}, 1)}
		e.mu.Lock()
		for _, i := range e.instances {
			w.push(i.status)
		}
		w.push(engine.Status{Synced: true})
		e.watchers[w] = struct{}{}
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.watchers, w)
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.ctx.Done():
				yield(engine.Status{}, stead.Unavailable("the engine is closed", "watch it anew", e.ctx.Err()))
				return
			case <-w.ready:
			}
			for _, s := range e.take(w) {
				if ctx.Err() != nil || !yield(s, nil) {
					return
				}
			}
		}
	}
}

func (e *Engine) take(w *watcher) []engine.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := w.queue
	w.queue = nil
	return q
}

// Workloads returns what was applied and not deleted, sorted by ID.
func (e *Engine) Workloads() []engine.Workload {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []engine.Workload
	for _, w := range e.workloads {
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b engine.Workload) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Crash ends the process of an instance with an exit code, as if by itself. It
// reports whether there was one.
func (e *Engine) Crash(instance string, code int) bool { return e.hit(instance, exited(code)) }

// OutOfMemory ends the process of an instance as the kernel does when its
// memory is used up. It reports whether there was one.
func (e *Engine) OutOfMemory(instance string) bool {
	i := e.find(instance)
	return i != nil && e.hit(instance, i.outOfMemory())
}

func (e *Engine) hit(instance string, x exit) bool {
	i := e.find(instance)
	if i == nil {
		return false
	}
	select {
	case i.kill <- x:
		return true
	default:
		return false
	}
}

func (e *Engine) find(id string) *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range e.instances {
		if i.status.Instance == id {
			return i
		}
	}
	return nil
}

// Samples implements engine.Sampler with figures that are small and constant.
func (e *Engine) Samples(context.Context) ([]engine.Sample, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []engine.Sample
	for _, i := range e.instances {
		if i.status.State == engine.StateUp {
			out = append(out, engine.Sample{Instance: i.status.Instance, At: time.Now(), CPU: time.Since(i.status.Since) / 100, Memory: 8 << 20, PIDs: 1})
		}
	}
	return out, nil
}
