package fake

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/enginetest"
	"github.com/steadpaas/stead/internal/logs"
)

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Sampler = (*Engine)(nil)
)

func newEngine(t *testing.T, lines *logs.Store) *Engine {
	e := New(lines, slog.New(slog.DiscardHandler))
	e.Backoff = 5 * time.Millisecond
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		Image: "apps/testapp@sha256:0", Timeout: 10 * time.Second,
		New: func(t *testing.T, lines *logs.Store) engine.Engine { return newEngine(t, lines) },
	})
}

func TestControls(t *testing.T) {
	e := New(nil, slog.New(slog.DiscardHandler))
	e.Backoff = time.Millisecond
	defer e.Close()
	w := engine.Workload{ID: "a", AppName: "shop", Release: 4, Process: "web", FirstIndex: 1, Replicas: 1, Port: 5000, Image: "x"}
	if err := e.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	bad := w
	bad.ID, bad.Image, bad.Process = "b", "apps/x/fail-boot@sha256:1", "bad"
	if err := e.Apply(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	want := map[engine.Cause]bool{engine.CauseBoot: false, engine.CauseExit: false, engine.CauseMemory: false}
	step := 0
	for s, err := range e.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if s.State == engine.StateCrashed {
			want[s.Cause] = true
		}
		if s.Workload == "a" && s.State == engine.StateUp {
			if step++; step == 1 {
				checkHello(t, s.Address.String())
				e.Crash(s.Instance, 3)
			} else {
				e.OutOfMemory(s.Instance)
			}
		}
		if want[engine.CauseBoot] && want[engine.CauseExit] && want[engine.CauseMemory] {
			break
		}
	}
}

func checkHello(t *testing.T, addr string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "hello from shop v4 web.1\n" {
		t.Errorf("answer %q", b)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		c    stead.Command
		verb string
		args int
	}{
		{nil, "web", 0}, {stead.Shell("exit 3"), "exit", 1}, {stead.Command{"/testapp", "print", "3", "x"}, "print", 2},
		{stead.Shell("exec ./server --port $PORT"), "server", 2}, {stead.Command{"/bin/echo", "a b"}, "echo", 1},
	} {
		if p := parse(tt.c); p.verb != tt.verb || len(p.args) != tt.args {
			t.Errorf("%q: %+v", tt.c, p)
		}
	}
}
