package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
	"github.com/steadpaas/stead/internal/logs"
)

func numbered(n int, failure error) iter.Seq2[logs.Line, error] {
	return func(yield func(logs.Line, error) bool) {
		for i := range n {
			if !yield(logs.Line{Text: strconv.Itoa(i), At: time.Unix(int64(i), 0)}, nil) {
				return
			}
		}
		if failure != nil {
			yield(logs.Line{}, failure)
		}
	}
}

func streamServer(t *testing.T, seq func() iter.Seq2[logs.Line, error], cut func(conn int, w http.ResponseWriter) http.ResponseWriter) *client.Client {
	s, _ := build(Config{})
	conns := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conns++
		lines, id, err := counted(seq(), r.Header.Get("Last-Event-ID"), nil)
		if err != nil {
			s.problem(r.Context(), err).write(w)
			return
		}
		sendEvents(r.Context(), s, cut(conns, w), lines, id)
	}))
	t.Cleanup(srv.Close)
	return client.New(srv.URL, "")
}

// dying breaks the connection after some writes.
type dying struct {
	http.ResponseWriter
	left int
}

func (d *dying) Unwrap() http.ResponseWriter { return d.ResponseWriter }
func (d *dying) Write(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return d.ResponseWriter.Write(p)
}

func TestStreamGoesOnAfterABreak(t *testing.T) {
	c := streamServer(t, func() iter.Seq2[logs.Line, error] { return numbered(50, nil) },
		func(conn int, w http.ResponseWriter) http.ResponseWriter {
			if conn > 2 {
				return w
			}
			return &dying{w, 12}
		})
	var got, want []string
	for l, err := range c.BuildOutput(t.Context(), "hello", 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Text)
	}
	for i := range 50 {
		want = append(want, strconv.Itoa(i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestStreamEndsWithItsError(t *testing.T) {
	c := streamServer(t, func() iter.Seq2[logs.Line, error] { return numbered(3, stead.Precondition("too early", "wait")) },
		func(_ int, w http.ResponseWriter) http.ResponseWriter { return w })
	n := 0
	var last error
	for _, err := range c.BuildOutput(t.Context(), "hello", 1, true) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 3 || stead.KindOf(last) != stead.KindPrecondition {
		t.Errorf("%d lines, then %v", n, last)
	}
}

func TestStreamEndsWithItsReader(t *testing.T) {
	gone := make(chan struct{})
	endless := func() iter.Seq2[logs.Line, error] {
		return func(yield func(logs.Line, error) bool) {
			defer close(gone)
			for yield(logs.Line{Text: "again"}, nil) {
			}
		}
	}
	c := streamServer(t, endless, func(_ int, w http.ResponseWriter) http.ResponseWriter { return w })
	for _, err := range c.BuildOutput(t.Context(), "hello", 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the server goes on without a reader")
	}
}

func TestQuietStreamBeats(t *testing.T) {
	s, _ := build(Config{Heartbeat: time.Millisecond})
	beats := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	quiet := func(func(stead.Line, error) bool) { <-ctx.Done() }
	w := &tell{httptest.NewRecorder(), beats}
	done := make(chan struct{})
	go func() { defer close(done); sendEvents(ctx, s, w, quiet, lineID) }()
	for b := ""; b != ": alive\n\n"; {
		select {
		case b = <-beats:
		case <-ctx.Done():
			t.Fatal("no heartbeat")
		}
	}
	cancel()
	<-done
}

type tell struct {
	*httptest.ResponseRecorder
	said chan string
}

func (t *tell) Write(p []byte) (int, error) {
	select {
	case t.said <- string(p):
	default:
	}
	return len(p), nil
}

func TestBehind(t *testing.T) {
	var all []stead.Line
	for i := range 6 {
		// Two instances' lines: not in the order of their times.
		all = append(all, stead.Line{At: time.Unix(int64(i^1), 0), Text: fmt.Sprint(i)})
	}
	for i, l := range all {
		want := behind(lineID(l), true, l.At)
		var got []stead.Line
		for _, x := range all {
			if want(x) {
				got = append(got, x)
			}
		}
		if !slices.Equal(got, all[i+1:]) {
			t.Errorf("behind %d: %v", i, got)
		}
	}
	if want := behind("5-x", false, time.Unix(3, 0)); want(all[0]) || !want(all[5]) {
		t.Error("a forgotten id does not go on by time")
	}
}
