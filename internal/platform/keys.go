package platform

import (
	"context"
	"fmt"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// sealedPage is how many values one transaction seals again.
const sealedPage = 100

// RotateKeys adds a new master key and seals everything under it again; it
// returns how many values that were. It needs an administrator. If it is
// interrupted, nothing is lost, and the next call goes on with the same key
// instead of adding another.
func (p *Platform) RotateKeys(ctx context.Context) (resealed int, err error) {
	if p.d.Keys == nil {
		return 0, stead.Unavailable("the platform has no master key", "start it with one", nil)
	}
	unfinished := false
	err = p.view(ctx, func(w *work) (err error) {
		if err := w.admin(); err != nil {
			return err
		}
		unfinished, err = w.sealedBefore()
		return err
	})
	if err != nil {
		return 0, err
	}
	if !unfinished {
		if err := p.d.Keys.Rotate(); err != nil {
			return 0, err
		}
	}
	if resealed, err = p.resealAll(ctx); err != nil {
		return resealed, err
	}
	err = p.change(ctx, func(w *work) error {
		return w.record(store.Event{Event: stead.Event{Verb: "keys.rotate", Data: map[string]any{"values": resealed, "resumed": unfinished}}})
	})
	return resealed, err
}

// sealedBefore reports whether any value is sealed under an older key.
func (w *work) sealedBefore() (bool, error) {
	for last := (store.Sealed{}); ; {
		page, err := w.SealedAfter(last, sealedPage)
		if err != nil || len(page) == 0 {
			return false, err
		}
		for _, s := range page {
			if !w.p.d.Keys.Current(s.Value) {
				return true, nil
			}
		}
		last = page[len(page)-1]
	}
}

func (p *Platform) resealAll(ctx context.Context) (n int, err error) {
	for last := (store.Sealed{}); ; {
		var page []store.Sealed
		var done int
		err := p.change(ctx, func(w *work) (err error) {
			if page, err = w.SealedAfter(last, sealedPage); err == nil {
				done, err = w.reseal(page)
			}
			return err
		})
		if err != nil || len(page) == 0 {
			return n, err
		}
		n, last = n+done, page[len(page)-1]
	}
}

func (w *work) reseal(page []store.Sealed) (n int, err error) {
	for _, s := range page {
		value, changed, err := w.p.d.Keys.Reseal(s.Value, owner(s.App))
		if err != nil {
			return n, fmt.Errorf("seal %s %s again: %w", s.Table, s.ID, err)
		}
		if !changed {
			continue
		}
		s.Value = value
		if err := w.SaveSealed(s); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
