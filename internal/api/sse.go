package api

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// sendLimit is how long a client may take to read one event.
const sendLimit = 30 * time.Second

// Resume is the part of a stream's input that makes it go on.
type Resume struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"100" doc:"The id of the last event that was received; the stream goes on behind it."`
}

// streaming says in the document that an answer is server-sent events of T.
func streaming[T any](s *server) func(*huma.Operation) {
	return func(o *huma.Operation) {
		schema := s.api.OpenAPI().Components.Schemas.Schema(typeFor[T](), true, "")
		o.Responses = map[string]*huma.Response{"200": {
			Description: "Server-sent events: data is the JSON below and id the place to resume at; event \"end\" is the end, event \"error\" a problem.",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schema}}}}
	}
}

// handleStream registers an operation that yields Ts. The id of each names the
// place behind it.
func handleStream[I, T any](s *server, o huma.Operation, h func(context.Context, *I) (iter.Seq2[T, error], func(T) string, error)) {
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		seq, id, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			_, w := unwrap(hc)
			sendEvents(ctx, s, w, seq, id)
		}}, nil
	})
}

// sendEvents writes the stream. It returns when the sequence or the client ends.
func sendEvents[T any](ctx context.Context, s *server, w http.ResponseWriter, seq iter.Seq2[T, error], id func(T) string) {
	e := &eventWriter{w: w, rc: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if e.raw(": stead\n\n") != nil {
		return
	}
	stop := e.beat(ctx, s.heartbeat)
	defer stop()
	for v, err := range seq {
		if err != nil {
			if ctx.Err() == nil {
				_ = e.send("error", "", s.problem(ctx, err)) // either way the stream is over
			}
			return
		}
		if e.send("", id(v), v) != nil {
			return
		}
	}
	if ctx.Err() == nil {
		_ = e.send("end", "", struct{}{}) // either way the stream is over
	}
}

// eventWriter writes events; beat and send may meet.
type eventWriter struct {
	mu sync.Mutex
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (e *eventWriter) raw(s string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.rc.SetWriteDeadline(time.Now().Add(sendLimit)) // not all writers can
	if _, err := e.w.Write([]byte(s)); err != nil {
		return err
	}
	return e.rc.Flush()
}

func (e *eventWriter) send(event, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if event != "" {
		b.WriteString("event: " + event + "\n")
	}
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("data: ")
	b.Write(data)
	b.WriteString("\n\n")
	return e.raw(b.String())
}

// beat writes a comment now and then, so that both sides notice a dead
// connection. stop waits for its end.
func (e *eventWriter) beat(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if e.raw(": alive\n\n") != nil {
					return
				}
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}
