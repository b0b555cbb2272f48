package platform

import (
	"context"
	"errors"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// Idler is a process that stops when it is idle: its type, IdleAfter and Asleep.
type Idler = store.Idler

// Idlers returns the processes that stop when they are idle, of apps that serve
// and that no release is on the way for.
func (p *Platform) Idlers(ctx context.Context) (out []Idler, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		out, err = w.Tx.Idlers()
		return err
	})
	return out, err
}

// Sleep stops the processes of an app that may stop when they are idle, until
// Wake. Quantities stay. Saying it again changes nothing.
func (p *Platform) Sleep(ctx context.Context, app stead.ID) error {
	return p.setAsleep(ctx, app, true, "process.sleep")
}

// Wake starts what Sleep stopped, because a request waits for it. Saying it
// again changes nothing.
func (p *Platform) Wake(ctx context.Context, app stead.ID) error {
	return p.setAsleep(ctx, app, false, "process.wake")
}

func (p *Platform) setAsleep(ctx context.Context, app stead.ID, asleep bool, verb string) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		a, err := w.AppByID(app)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		changed, err := w.SetAsleep(app, asleep)
		if err != nil || !changed {
			return err
		}
		return w.intended(verb, &a, nil)
	})
}
