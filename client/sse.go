package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

const (
	quiet    = 60 * time.Second // no event nor heartbeat for so long: the connection is dead
	giveUp   = 2 * time.Minute  // without a connection
	maxEvent = 1 << 20          // bytes of one line of a stream
)

var errEnd = errors.New("end of stream")

// message is one server-sent event.
type message struct{ id, event, data string }

// stream yields the values of a stream of server-sent events. A connection
// that breaks is made again and goes on after the last value, so that none is
// lost; a platform that stays away for two minutes ends the stream with an
// error. Any error is the last thing yielded.
func stream[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last string
		var away time.Duration
		for first := true; ; first = false {
			got, err := c.follow(ctx, path, q, &last, func(m message) error { return deliver(m, yield) })
			if errors.Is(err, errEnd) {
				return
			}
			if got {
				away = 0
			}
			if ctx.Err() != nil || away >= giveUp || stead.KindOf(err) != stead.KindUnavailable || (first && !got) {
				yield(*new(T), err)
				return
			}
			pause := min(200*time.Millisecond+away/2, 5*time.Second)
			away += pause
			if err := c.wait(ctx, pause); err != nil {
				yield(*new(T), c.unreachable(ctx, err))
				return
			}
		}
	}
}

// deliver hands one message on; errEnd says that the reader has enough.
func deliver[T any](m message, yield func(T, error) bool) error {
	switch m.event {
	case "end":
		return errEnd
	case "error":
		var p stead.Problem
		if err := json.Unmarshal([]byte(m.data), &p); err != nil {
			return stead.Unavailable("the stream broke", "try again", err)
		}
		return p.Err()
	}
	var v T
	if err := json.Unmarshal([]byte(m.data), &v); err != nil {
		return &stead.Error{Msg: "the platform sent what is not an event", Hint: "update the client", Err: err}
	}
	if !yield(v, nil) {
		return errEnd
	}
	return nil
}

// follow makes one connection and hands on its messages. It reports whether
// the connection was made; the error is never nil.
func (c *Client) follow(ctx context.Context, path string, q url.Values, last *string, each func(message) error) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := http.Header{"Accept": {"text/event-stream"}}
	if *last != "" {
		h.Set("Last-Event-ID", *last)
	}
	resp, err := c.once(ctx, c.http, call{method: http.MethodGet, path: path, query: q, header: h})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	watch := time.AfterFunc(quiet, func() { resp.Body.Close() })
	defer watch.Stop()
	err = scan(resp.Body, func() { watch.Reset(quiet) }, func(m message) error {
		if err := each(m); err != nil {
			return err
		}
		if m.id != "" {
			*last = m.id
		}
		return nil
	})
	return true, c.broken(ctx, err)
}

// broken tells an error of the connection from one of the stream.
func (c *Client) broken(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*stead.Error](err); ok || errors.Is(err, errEnd) {
		return err
	}
	return c.unreachable(ctx, err)
}

// scan reads server-sent events (WHATWG HTML, section 9.2.6) until r ends or
// each returns an error. The error is never nil.
func scan(r io.Reader, alive func(), each func(message) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 4096), maxEvent)
	var m message
	for s.Scan() {
		alive()
		line := s.Text()
		if line == "" {
			if m.data != "" || m.event != "" {
				if err := each(m); err != nil {
					return err
				}
			}
			m = message{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			if m.data != "" {
				m.data += "\n"
			}
			m.data += value
		}
	}
	if err := s.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
