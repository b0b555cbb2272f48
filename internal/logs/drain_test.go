package logs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a sender in memory that fails on demand.
type receiver struct {
	mu    sync.Mutex
	fails []error // returned first, one a Send
	got   []string
	ready chan struct{}
}

func (r *receiver) Send(_ context.Context, lines []Line) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fails) > 0 {
		err := r.fails[0]
		r.fails = r.fails[1:]
		return err
	}
	for _, l := range lines {
		r.got = append(r.got, l.Text)
	}
	select {
	case r.ready <- struct{}{}:
	default:
	}
	return nil
}

func (r *receiver) Close() error { return nil }

func (r *receiver) until(t *testing.T, n int) {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		r.mu.Lock()
		have := len(r.got)
		r.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-r.ready:
		case <-deadline:
			t.Fatalf("%d lines arrived, want %d", have, n)
		}
	}
}

// TestDrain sends lines, is interrupted, and goes on behind the last one.
func TestDrain(t *testing.T) {
	st := open(t, t.TempDir(), Limits{})
	put(t, st, "app/1", numbered(0, 10)...)
	end, err := st.End("app/1")
	if err != nil || end != 10 {
		t.Fatalf("end %d, %v", end, err)
	}
	var after, dropped int64
	run := func(r *receiver, n int) {
		r.ready = make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Drain(ctx, st, "app/1", Query{After: max(after, end)}, r, func(d DrainReport) { after, dropped = d.After, dropped+d.Dropped })
		}()
		r.until(t, n)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	put(t, st, "app/1", numbered(10, 2000)...)
	first := &receiver{fails: []error{errors.New("away")}}
	run(first, 1990)
	if first.got[0] != "line 000010" || len(first.got) != 1990 || after != 2000 {
		t.Errorf("first run: %d lines from %q to %q, after %d", len(first.got), first.got[0], first.got[len(first.got)-1], after)
	}
	put(t, st, "app/1", numbered(2000, 2600)...)
	second := &receiver{fails: []error{&RefusedError{"413"}}}
	run(second, 100)
	if second.got[len(second.got)-1] != "line 002599" || dropped+int64(len(second.got)) != 600 {
		t.Errorf("second run: %d lines, %d dropped, up to %q", len(second.got), dropped, second.got[len(second.got)-1])
	}
}

// TestAfter reads behind a line whose segment is there, gone, or of another life.
func TestAfter(t *testing.T) {
	st := open(t, t.TempDir(), Limits{App: 64 << 10})
	put(t, st, "app/1", numbered(0, 100)...)
	if got := texts(t, st, "app/1", Query{After: 98}); !slices.Equal(got, []string{"line 000098", "line 000099"}) {
		t.Errorf("behind 98: %q", got)
	}
	if got := texts(t, st, "app/1", Query{After: 100}); len(got) != 0 {
		t.Errorf("behind the last: %q", got)
	}
	if got := texts(t, st, "app/1", Query{After: 5000}); len(got) != 100 {
		t.Errorf("behind what never was: %d lines", len(got))
	}
	for i := range 100 {
		put(t, st, "app/1", numbered(100+100*i, 200+100*i)...)
	}
	got := texts(t, st, "app/1", Query{After: 100})
	if !strings.HasPrefix(got[0], "dropped ") || got[len(got)-1] != "line 010099" {
		t.Fatalf("behind a line that is gone: %q … %q", got[0], got[len(got)-1])
	}
	n, _ := strconv.Atoi(strings.Fields(got[0])[1])
	if n+len(got)-1 != 10000 {
		t.Errorf("%d dropped and %d given are not 10000", n, len(got)-1)
	}
}

var aLine = Line{At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Source: "app", Process: "web.1", Text: "grüße"}

func TestHTTPSender(t *testing.T) {
	status := http.StatusNoContent
	var body string
	var head http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body, head = string(b), r.Header
		w.WriteHeader(status)
	}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL + "/logs")
	u.User = url.UserPassword("me", "secret")
	s, err := NewSender(u, "d.1", &net.Dialer{}, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Send(t.Context(), []Line{aLine, {Source: "router", Process: "router", Text: "x"}}); err != nil {
		t.Fatal(err)
	}
	frame := "<190>1 2026-01-02T03:04:05.000006+00:00 host app web.1 - grüße\n"
	if want := strconv.Itoa(len(frame)) + " " + frame; !strings.HasPrefix(body, want) {
		t.Errorf("body %q, want %q", body, want)
	}
	if head.Get("Logplex-Msg-Count") != "2" || head.Get("Logplex-Drain-Token") != "d.1" || head.Get("Content-Type") != "application/logplex-1" ||
		!strings.HasPrefix(head.Get("Authorization"), "Basic ") {
		t.Errorf("head %v", head)
	}
	status = http.StatusRequestEntityTooLarge
	if _, refused := errors.AsType[*RefusedError](s.Send(t.Context(), []Line{aLine})); !refused {
		t.Error("413 is to be dropped")
	}
	status = http.StatusBadGateway
	err = s.Send(t.Context(), []Line{aLine})
	if _, refused := errors.AsType[*RefusedError](err); err == nil || refused {
		t.Errorf("502 is to be tried again: %v", err)
	}
	srv.Close()
	if err := s.Send(t.Context(), []Line{aLine}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a receiver that is away: %v", err)
	}
}

func TestSyslogSender(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := NewSender(&url.URL{Scheme: "syslog", Host: l.Addr().String()}, "d.1", &net.Dialer{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 { // the second time over a new connection, as the receiver closed the first
		if err := s.Send(t.Context(), []Line{aLine}); err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := bufio.NewReader(conn).ReadString('\n')
		msg := "<190>1 2026-01-02T03:04:05.000006+00:00 d.1 app web.1 - - grüße\n"
		if want := strconv.Itoa(len(msg)) + " " + msg; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		conn.Close()
		for deadline := time.Now().Add(10 * time.Second); s.(*syslogSender).conn != nil; {
			if err := s.(*syslogSender).alive(); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a closed connection looks alive")
			}
		}
		if err := s.Send(t.Context(), []Line{aLine}); err == nil {
			t.Error("lines sent to a receiver that has closed were not noticed")
		}
	}
}
