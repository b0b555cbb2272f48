package platform

import (
	"context"
	"iter"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// EventQuery narrows Events.
type EventQuery struct {
	App    string   // a reference; "": everything the actor may see
	Verb   string   // prefix
	After  stead.ID // cursor: only events after this one, from the oldest on
	Limit  int      // 100 by default, 1000 at most; without After, the newest
	Follow bool     // go on with new ones
}

const (
	defaultEvents = 100
	maxEvents     = 1000
)

// Events yields events in the order they happened. Without an app, the actor
// sees those of the orgs and spaces it is in, and its own doings; an
// administrator sees all.
func (p *Platform) Events(ctx context.Context, q EventQuery) (iter.Seq2[stead.Event, error], error) {
	if q.Limit <= 0 {
		q.Limit = defaultEvents
	}
	q.Limit = min(q.Limit, maxEvents)
	var batch []store.Event
	var last int64
	err := p.view(ctx, func(w *work) (err error) {
		if last, err = w.startOf(q); err != nil {
			return err
		}
		newest, err := w.LastEvent()
		if err != nil {
			return err
		}
		if batch, err = w.events(q, last, q.After == ""); err == nil && q.After == "" {
			last = newest // all that match were looked at
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(yield func(stead.Event, error) bool) {
		for _, e := range batch {
			if last = max(last, e.Seq); !yield(e.Event, nil) {
				return
			}
		}
		if q.Follow {
			p.followEvents(ctx, q, last, yield)
		}
	}, nil
}

func (w *work) startOf(q EventQuery) (int64, error) {
	if q.After == "" {
		return 0, nil
	}
	n, err := w.EventSeq(q.After)
	return n, orElse(err, stead.Invalid("after", "there is no such event", "start without a cursor"))
}

// events returns the next events (or the newest ones) that the actor may see.
func (w *work) events(q EventQuery, after int64, newest bool) ([]store.Event, error) {
	f := store.EventFilter{After: after, Verb: q.Verb, Limit: q.Limit, Newest: newest}
	if q.App != "" {
		a, err := w.app(q.App, stead.ActRead)
		if err != nil {
			return nil, err
		}
		f.App = a.ID
		return w.Events(f)
	}
	if !w.actor.May(stead.ActRead, stead.RoleAuditor) {
		return nil, denied("your token does not allow reading", "use another token")
	}
	if !w.actor.Admin {
		if err := w.loadMembers(); err != nil {
			return nil, err
		}
		f.Seen, f.Actor = true, w.actor.Email
		for _, m := range w.members {
			if m.SpaceID == "" {
				f.Orgs = append(f.Orgs, m.OrgID)
			} else {
				f.Spaces = append(f.Spaces, m.SpaceID)
			}
		}
		for _, g := range w.grants {
			f.Apps = append(f.Apps, g.AppID)
		}
	}
	return w.Events(f)
}

// followEvents goes on with what happens after an event. Access is checked each
// time, so who loses it sees no more.
func (p *Platform) followEvents(ctx context.Context, q EventQuery, last int64, yield func(stead.Event, error) bool) {
	wake, stop := p.bell.listen(TopicEvents)
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		batch, err := p.eventsAfter(ctx, q, last)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			yield(stead.Event{}, err)
			return
		}
		for _, e := range batch {
			if last = e.Seq; !yield(e.Event, nil) {
				return
			}
		}
		if len(batch) == q.Limit {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
		}
	}
}

func (p *Platform) eventsAfter(ctx context.Context, q EventQuery, last int64) (batch []store.Event, err error) {
	err = p.view(ctx, func(w *work) (err error) {
		if err := w.alive(); err != nil {
			return err
		}
		batch, err = w.events(q, last, false)
		return err
	})
	return batch, err
}
