package api

import (
	"context"
	"iter"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// EventsInput is the part of an input that narrows events.
type EventsInput struct {
	App   string   `query:"app" maxLength:"200" doc:"Only of this app."`
	Verb  string   `query:"verb" maxLength:"100" doc:"Only verbs that start so: app. or release.live"`
	After stead.ID `query:"after" maxLength:"100" doc:"Only events after this one, by ID: the next of the page before."`
	Limit int      `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many, the newest."`
}

func (in EventsInput) query() platform.EventQuery {
	return platform.EventQuery{App: in.App, Verb: in.Verb, After: in.After, Limit: in.Limit}
}

func events(s *server) {
	handle(s, op("EventPage", "GET", "events", "Events, in the order they happened; next is the cursor for later ones"), func(ctx context.Context, in *EventsInput) (list[stead.Event], error) {
		out := list[stead.Event]{Items: []stead.Event{}, Next: string(in.After)}
		seq, err := s.p.Events(ctx, in.query())
		if err != nil {
			return out, err
		}
		for e, err := range seq {
			if err != nil {
				return out, err
			}
			out.Items = append(out.Items, e)
			out.Next = string(e.ID)
		}
		return out, nil
	})
	type stream struct {
		EventsInput
		Resume
		Follow bool `query:"follow" doc:"Go on with new events."`
	}
	handleStream(s, op("Events", "GET", "events/stream", "Events, as they happen", done(200), streaming[stead.Event](s)),
		func(ctx context.Context, in *stream) (iter.Seq2[stead.Event, error], func(stead.Event) string, error) {
			q := in.query()
			q.Follow = in.Follow
			if in.LastEventID != "" {
				if !stead.IsID(in.LastEventID) {
					return nil, nil, badEventID()
				}
				q.After, q.Limit = stead.ID(in.LastEventID), 1000
			}
			seq, err := s.p.Events(ctx, q)
			return seq, func(e stead.Event) string { return string(e.ID) }, err
		})
}
