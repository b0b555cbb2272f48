package heroku

import (
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

func logRoutes() []route {
	return []route{{Method: "POST", Path: "/apps/{app}/log-sessions", Title: "log session: create", do: (*call).logSession}}
}

const (
	sessionLife = 5 * time.Minute // between a session's making and its use, and for resuming it
	beatEvery   = 15 * time.Second
	maxLines    = 1500 // of one session, as at Heroku
)

// tailing is a log session: what its URL gives.
type tailing struct {
	app   string
	query logs.Query
}

func (c *call) logSession() (any, error) {
	var in struct {
		Dyno   string `json:"dyno"`
		Type   string `json:"type"`
		Source string `json:"source"`
		Lines  *int   `json:"lines"`
		Tail   bool   `json:"tail"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	q := logs.Query{Num: 100, Follow: in.Tail, Process: in.Dyno}
	if in.Dyno == "" {
		q.Process = in.Type
	}
	if in.Lines != nil {
		q.Num = max(0, min(*in.Lines, maxLines))
	}
	q.Source = ourSources(in.Source)
	secret, err := c.tickets.issue(c.actor, tailing{string(a.ID), q}, sessionLife, false)
	if err != nil {
		return nil, err
	}
	at := stamp(c.now())
	return c.created(object{"id": stead.NewID(c.now()), "logplex_url": c.base + "/streams/" + secret, "created_at": at, "updated_at": at}), nil
}

// ourSources are the sources that Heroku's "app" and "heroku" stand for.
func ourSources(s string) string {
	if s == "heroku" {
		return "stead,router"
	}
	return s
}

// line writes a line in Heroku's form: what the platform says is of the source
// "heroku".
func line(l logs.Line) string {
	switch l.Source {
	case "stead", "router":
		l.Source = "heroku"
	case "build":
		l.Source = "app"
	}
	if l.Process == "" {
		l.Process = "api"
	}
	l.Text = strings.ReplaceAll(l.Text, "\r", "")
	return logs.Format(l)
}

// tail answers a log session's URL: events for who asks for them, else text.
func (s *server) tail(w http.ResponseWriter, r *http.Request, actor stead.Actor, t tailing) {
	ctx := stead.WithActor(r.Context(), actor)
	last := r.Header.Get("Last-Event-ID")
	if last != "" && t.query.Follow {
		t.query.Num = maxLines
	}
	lines, err := s.p.Logs(ctx, t.app, t.query)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	events := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	o := begin(w, events)
	stop := func() {}
	if events {
		stop = o.beat(ctx)
	}
	defer stop()
	for l, err := range after(lines, last) {
		if err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "log session ended", "error", err)
			}
			return
		}
		if o.line(l.At.UTC().Format(time.RFC3339Nano), line(l)) != nil {
			return
		}
	}
}

// after drops the lines up to the event that a client has seen.
func after(lines iter.Seq2[logs.Line, error], last string) iter.Seq2[logs.Line, error] {
	seen, err := time.Parse(time.RFC3339Nano, last)
	if err != nil {
		return lines
	}
	return func(yield func(logs.Line, error) bool) {
		for l, err := range lines {
			if err == nil && !l.At.After(seen) {
				continue
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// output is a stream of lines on its way to a client.
type output struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	events bool
	turn   chan struct{} // lines and beats take turns
}

func begin(w http.ResponseWriter, events bool) *output {
	kind := "text/plain; charset=utf-8"
	if events {
		kind = "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	o := &output{w: w, rc: http.NewResponseController(w), events: events, turn: make(chan struct{}, 1)}
	w.WriteHeader(http.StatusOK)
	_ = o.write("") // the client is waiting for the head
	return o
}

func (o *output) write(text string) error {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	_ = o.rc.SetWriteDeadline(time.Now().Add(30 * time.Second)) // not all writers can
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}

func (o *output) line(id, text string) error {
	if o.events {
		return o.write(fmt.Sprintf("id: %s\ndata: %s\n\n", id, text))
	}
	return o.write(text + "\n")
}

// beat writes a comment now and then, so that both sides notice a dead
// connection. stop waits for its end.
func (o *output) beat(ctx interface{ Done() <-chan struct{} }) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() { // joined by stop
		defer close(ended)
		t := time.NewTicker(beatEvery)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ctx.Done():
				return
			case <-t.C:
				if o.write(": alive\n\n") != nil {
					return
				}
			}
		}
	}()
	return func() { close(quit); <-ended }
}
