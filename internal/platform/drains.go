package platform

import (
	"context"
	"errors"
	"net/url"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/store"
)

// maxDrains is how many an app may have.
const maxDrains = 10

// drainURL is the key under which a drain's URL is sealed.
const drainURL = "URL"

// Drains returns the drains of an app, with how they do.
func (p *Platform) Drains(ctx context.Context, ref string) (out []stead.Drain, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		all, err := w.Tx.Drains(a.ID)
		for _, d := range all {
			out = append(out, d.Drain)
		}
		return err
	})
	return out, err
}

// AddDrain has an app's log lines, from now on, sent to a URL.
func (p *Platform) AddDrain(ctx context.Context, ref string, n stead.NewDrain) (out stead.Drain, err error) {
	u, err := stead.ParseDrainURL(n.URL)
	if err != nil {
		return out, err
	}
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := w.roomForDrain(a, u); err != nil {
			return err
		}
		sealed, err := p.seal(a.ID, stead.Config{drainURL: u.String()})
		if err != nil {
			return err
		}
		id := stead.NewID(w.now)
		d := store.Drain{Sealed: sealed, After: -1, Drain: stead.Drain{ID: id, AppID: a.ID, URL: u.Redacted(), Token: "d." + string(id), CreatedAt: w.now}}
		if err := w.InsertDrain(d); err != nil {
			return err
		}
		out = d.Drain
		w.wake(TopicDrains)
		return w.event("drain.add", &a, map[string]any{"drain": id, "url": out.URL})
	})
	return out, err
}

func (w *work) roomForDrain(a store.App, u *url.URL) error {
	have, err := w.Tx.Drains(a.ID)
	if err != nil {
		return err
	}
	if len(have) >= maxDrains {
		return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 10 drains already", Hint: "remove one that is not needed"}
	}
	for _, d := range have {
		known, err := w.p.unseal(a.ID, d.Sealed)
		if err != nil {
			return err
		}
		if known[drainURL] == u.String() {
			return stead.Conflict("the app has a drain to "+u.Redacted()+" already", "each line would arrive twice")
		}
	}
	return nil
}

// RemoveDrain ends a drain, named by its ID, its token or its URL.
func (p *Platform) RemoveDrain(ctx context.Context, ref, drain string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		d, err := w.drain(a, drain)
		if err != nil {
			return err
		}
		if err := w.DeleteDrain(a.ID, d.ID); err != nil {
			return err
		}
		w.wake(TopicDrains)
		return w.event("drain.remove", &a, map[string]any{"drain": d.ID, "url": d.URL})
	})
}

func (w *work) drain(a store.App, ref string) (store.Drain, error) {
	all, err := w.Tx.Drains(a.ID)
	if err != nil {
		return store.Drain{}, err
	}
	for _, d := range all {
		if string(d.ID) == ref || d.Token == ref || d.URL == ref {
			return d, nil
		}
		if whole, err := w.p.unseal(a.ID, d.Sealed); err == nil && whole[drainURL] == ref {
			return d, nil
		}
	}
	shown := ref
	if u, err := url.Parse(ref); err == nil {
		shown = u.Redacted()
	}
	return store.Drain{}, stead.NotFound("drain", shown)
}

// DrainSpec is a drain with where it leads and how far it is.
type DrainSpec struct {
	stead.Drain
	To    *url.URL
	After int64 // the log's line behind which to go on; -1: at its end
}

// OpenDrains returns the drains of all apps, for the loops.
func (p *Platform) OpenDrains(ctx context.Context) (out []DrainSpec, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		all, err := w.AllDrains()
		if err != nil {
			return err
		}
		for _, d := range all {
			whole, err := p.unseal(d.AppID, d.Sealed)
			if err != nil {
				return err
			}
			to, err := stead.ParseDrainURL(whole[drainURL])
			if err != nil {
				return err
			}
			out = append(out, DrainSpec{d.Drain, to, d.After})
		}
		return nil
	})
	return out, err
}

// ReportDrain records how a drain does. A change between well and not well
// is an event; a drain that is gone is no error.
func (p *Platform) ReportDrain(ctx context.Context, id stead.ID, r logs.DrainReport) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		d, err := w.Tx.Drain(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		was := d.Error
		d.After, d.Delivered, d.Dropped, d.Error, d.At = r.After, d.Delivered+r.Delivered, d.Dropped+r.Dropped, "", &w.now
		if r.Err != nil {
			d.Error = r.Err.Error()
		}
		if err := w.SaveDrain(d); err != nil || (was == "") == (d.Error == "") {
			return err
		}
		a, err := w.AppByID(d.AppID)
		if err != nil {
			return err
		}
		if d.Error == "" {
			return w.event("drain.recover", &a, map[string]any{"drain": d.ID, "url": d.URL})
		}
		return w.event("drain.fail", &a, map[string]any{"drain": d.ID, "url": d.URL, "reason": d.Error})
	})
}
