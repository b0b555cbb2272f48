package containerd

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/steadpaas/stead/internal/engine"
)

// hub tells watchers what the instances' states are.
type hub struct {
	mu       sync.Mutex
	latest   map[string]engine.Status // by instance
	watchers map[*watcher]bool
}

type watcher struct {
	queue []engine.Status
	wake  chan struct{}
}

const maxQueue = 50_000

func newHub() *hub {
	return &hub{latest: map[string]engine.Status{}, watchers: map[*watcher]bool{}}
}

func (h *hub) publish(s engine.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest[s.Instance] = s
	if s.State == engine.StateGone {
		delete(h.latest, s.Instance)
	}
	for w := range h.watchers {
		w.queue = append(w.queue, s)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (h *hub) status(instance string) (engine.Status, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.latest[instance]
	return s, ok
}

func (h *hub) join() *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1)}
	for _, s := range h.latest {
		w.queue = append(w.queue, s)
	}
	w.queue = append(w.queue, engine.Status{Synced: true})
	h.watchers[w] = true
	w.wake <- struct{}{}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

func (h *hub) take(w *watcher) []engine.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := w.queue
	w.queue = nil
	return q
}

func (h *hub) watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		w := h.join()
		defer h.leave(w)
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			}
			q := h.take(w)
			if len(q) > maxQueue {
				yield(engine.Status{}, errors.New("the watcher fell too far behind"))
				return
			}
			for _, s := range q {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}
