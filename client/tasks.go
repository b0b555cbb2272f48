package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/steadpaas/stead"
)

// Run makes a one-off task. An attached one runs when Attach is called.
func (c *Client) Run(ctx context.Context, app string, n stead.NewTask) (stead.Task, error) {
	return send[stead.Task](ctx, c, http.MethodPost, path("apps", app, "tasks"), n)
}

// Tasks lists the app's tasks.
func (c *Client) Tasks(ctx context.Context, app string) ([]stead.Task, error) {
	return items[stead.Task](ctx, c, path("apps", app, "tasks"), nil)
}

// Task returns a task by its name ("run.7").
func (c *Client) Task(ctx context.Context, app, task string) (stead.Task, error) {
	return get[stead.Task](ctx, c, path("apps", app, "tasks", task), nil)
}

// StopTask ends a task.
func (c *Client) StopTask(ctx context.Context, app, task string) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path("apps", app, "tasks", task, "stop"), nil)
	return err
}

// Events yields who did what to what, in the order it happened and, with
// Follow, as it happens. A broken connection is made again and loses none.
func (c *Client) Events(ctx context.Context, e stead.EventQuery) iter.Seq2[stead.Event, error] {
	q := eventQuery(e)
	if e.Follow {
		q.Set("follow", "true")
	}
	return stream[stead.Event](ctx, c, path("events", "stream"), q)
}

// EventPage returns events in the order they happened, and the cursor (for
// EventQuery.After) behind the last of them.
func (c *Client) EventPage(ctx context.Context, e stead.EventQuery) ([]stead.Event, stead.ID, error) {
	l, err := get[list[stead.Event]](ctx, c, path("events"), eventQuery(e))
	return l.Items, stead.ID(l.Next), err
}

func eventQuery(e stead.EventQuery) url.Values {
	q := url.Values{}
	set(q, "app", e.App)
	set(q, "verb", e.Verb)
	set(q, "after", string(e.After))
	if e.Limit > 0 {
		q.Set("limit", strconv.Itoa(e.Limit))
	}
	return q
}

// Status tells how the platform does.
func (c *Client) Status(ctx context.Context) (stead.Status, error) {
	return get[stead.Status](ctx, c, path("status"), nil)
}

// Version tells what runs there. It needs no token.
func (c *Client) Version(ctx context.Context) (stead.Version, error) {
	return get[stead.Version](ctx, c, path("version"), nil)
}
