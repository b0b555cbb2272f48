package fake

import (
	"context"
	"sync"

	"github.com/steadpaas/stead/internal/route"
)

// Router remembers the last table.
type Router struct {
	mu    sync.Mutex
	last  *route.Table
	Fault func() error
	Seen  func(*route.Table) // called with each table, if set
}

// Publish keeps the table.
func (r *Router) Publish(_ context.Context, t *route.Table) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Fault != nil {
		if err := r.Fault(); err != nil {
			return err
		}
	}
	r.last = t
	if r.Seen != nil {
		r.Seen(t)
	}
	return nil
}

// Drained is at once.
func (r *Router) Drained(context.Context, []string) error { return nil }

// Table returns the last table; it may be nil.
func (r *Router) Table() *route.Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
