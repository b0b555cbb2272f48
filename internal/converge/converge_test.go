package converge_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	buildfake "github.com/steadpaas/stead/internal/build/fake"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/converge/fake"
	"github.com/steadpaas/stead/internal/engine"
	enginefake "github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// house is loops over an engine in memory.
type house struct {
	t      *testing.T
	p      *fake.Platform
	e      *enginefake.Engine
	r      *fake.Router
	logs   *logs.Store
	cancel context.CancelFunc
	ended  chan error
}

func open(t *testing.T) *house {
	t.Helper()
	store, err := logs.Open(t.TempDir(), logs.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, p: fake.New(), r: &fake.Router{}, logs: store, e: enginefake.New(store, slog.New(slog.DiscardHandler))}
	h.e.Backoff = time.Millisecond
	h.p.Logs = store
	h.start()
	t.Cleanup(func() { h.stop(); _ = h.e.Close(); _ = store.Close() })
	return h
}

func (h *house) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.ended = cancel, make(chan error, 1)
	l := converge.New(converge.Deps{Platform: h.p, Engines: map[string]engine.Engine{"default": h.e}, Builder: buildfake.New(),
		Sources: h.p, Logs: h.logs, Router: h.r, Settings: converge.Settings{Tick: 50 * time.Millisecond, Settle: time.Millisecond}})
	go func() { h.ended <- l.Run(ctx) }()
}

func (h *house) stop() {
	h.cancel()
	if err := <-h.ended; err != nil {
		h.t.Error(err)
	}
}

// until waits for a condition.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("never: %s; workloads %v; table %+v", what, h.running(), h.r.Table())
		}
	}
}

func (h *house) running() map[string]int {
	out := map[string]int{}
	for _, w := range h.e.Workloads() {
		id, _ := converge.ParseIdent(w.ID)
		if w.Replicas > 0 {
			out[id.Process] += w.Replicas
		}
	}
	return out
}

func (h *house) backends() int {
	t := h.r.Table()
	if t == nil || len(t.Routes) != 1 {
		return -1
	}
	return len(t.Routes[0].Backends)
}

func (h *house) state(app stead.App, version int) stead.ReleaseState {
	r, _ := h.p.Release(context.Background(), string(app.ID), version)
	return r.State
}

func (h *house) lines(stream string) string {
	var b strings.Builder
	for line, err := range h.logs.Tail(context.Background(), stream, logs.Query{Num: -1}) {
		if err != nil {
			h.t.Error(err)
		}
		b.WriteString(line.Text + "\n")
	}
	return b.String()
}

func image(name string, processes ...string) stead.Image {
	m := map[string]stead.Command{"web": nil}
	for _, p := range processes {
		t, c, _ := strings.Cut(p, "=")
		m[t] = stead.Shell(c)
	}
	return stead.Image{Ref: name + "@sha256:" + strings.Repeat("0", 64), Processes: m}
}

func (h *house) live(name string, processes ...string) stead.App {
	h.t.Helper()
	app := h.p.Create(name)
	h.p.Release1(app.ID, image("one", processes...))
	h.until("live", func() bool { return h.state(app, 1) == stead.ReleaseLive && h.backends() == 1 })
	return app
}

func quantityOf(n int) func(*platform.Intent) {
	return func(in *platform.Intent) {
		if len(in.Processes) == 0 {
			in.Processes = []stead.Process{stead.DefaultProcess("web")}
		}
		in.Processes[0].Quantity = n
	}
}

func TestRollout(t *testing.T) {
	h := open(t)
	app := h.live("hello")
	old := h.r.Table().Routes[0].Backends[0].Instance
	r := h.p.Release1(app.ID, image("two", "release=echo migrated"))
	h.until("v2 live", func() bool { return h.state(app, 2) == stead.ReleaseLive })
	if b := h.r.Table().Routes[0].Backends; len(b) != 1 || b[0].Instance == old {
		t.Errorf("table after live: %+v", b)
	}
	h.until("old gone", func() bool { return h.running()["web"] == 1 })
	out := h.lines(logs.ReleaseStream(r.ID))
	for _, want := range []string{"migrated", "web.1 starting", "web.1 up", "routes switched", app.URL} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestFailedRelease(t *testing.T) {
	for name, img := range map[string]stead.Image{
		"exit":  image("two", "web=exit 3"),
		"boot":  image("fail-boot"),
		"phase": image("two", "release=exit 4"),
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			app := h.live("hello")
			old := h.r.Table().Routes[0].Backends[0].Instance
			h.p.Change(app.ID, func(in *platform.Intent) {
				p := stead.DefaultProcess("web")
				in.Processes = []stead.Process{p}
			})
			h.p.Release1(app.ID, img)
			limit := 10 * time.Second
			_ = limit
			h.until("failed", func() bool { return h.state(app, 2) == stead.ReleaseFailed })
			h.until("only the old", func() bool { return h.running()["web"] == 1 && len(h.e.Workloads()) == 1 })
			if b := h.r.Table().Routes[0].Backends; len(b) != 1 || b[0].Instance != old {
				t.Errorf("the old one no longer serves: %+v", b)
			}
			rel, _ := h.p.Release(context.Background(), "hello", 2)
			t.Log(rel.Reason)
		})
	}
}

func TestScaleStopRestartDestroy(t *testing.T) {
	h := open(t)
	app := h.live("hello")
	for _, n := range []int{5, 2, 0, 3} {
		h.p.Change(app.ID, quantityOf(n))
		h.until("settled", func() bool { return h.p.Settled(app.ID) })
		if h.backends() != n {
			t.Errorf("settled with %d of %d routed", h.backends(), n)
		}
		h.until("scaled", func() bool { return h.running()["web"] == n })
	}
	h.p.Change(app.ID, func(in *platform.Intent) { in.Processes[0].Epoch++ })
	h.until("restarted", func() bool {
		b := h.r.Table().Routes[0].Backends
		return len(h.e.Workloads()) == 1 && len(b) == 3 && strings.Contains(h.e.Workloads()[0].ID, ".e1.")
	})
	h.stop()
	h.start()
	h.p.Change(app.ID, func(in *platform.Intent) { in.Processes[0].Stopped = true })
	h.until("stopped", func() bool { return h.backends() == 0 && h.running()["web"] == 0 })
	h.p.Change(app.ID, func(in *platform.Intent) { in.Destroyed = true })
	h.until("forgotten", func() bool {
		_, err := h.p.App(context.Background(), "hello")
		return err != nil && len(h.e.Workloads()) == 0
	})
}

// TestRestartOfOneProcess leaves the app's other processes alone.
func TestRestartOfOneProcess(t *testing.T) {
	h := open(t)
	app := h.live("hello", "worker=sleep 1000")
	h.p.Change(app.ID, func(in *platform.Intent) {
		worker := stead.DefaultProcess("worker")
		worker.Quantity = 1
		in.Processes = []stead.Process{stead.DefaultProcess("web"), worker}
	})
	ids := func() map[string]string {
		out := map[string]string{}
		for _, w := range h.e.Workloads() {
			id, _ := converge.ParseIdent(w.ID)
			out[id.Process] = w.ID
		}
		return out
	}
	h.until("settled", func() bool { return h.p.Settled(app.ID) && len(h.e.Workloads()) == 2 })
	before := ids()
	h.p.Change(app.ID, func(in *platform.Intent) { in.Processes[0].Epoch++ })
	h.until("restarted", func() bool { return h.p.Settled(app.ID) && len(h.e.Workloads()) == 2 })
	after := ids()
	if after["web"] == before["web"] || after["worker"] != before["worker"] {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestTask(t *testing.T) {
	h := open(t)
	app := h.live("hello")
	id := h.p.AddTask(app.ID, stead.Task{Name: "run.7", Command: stead.Shell("exit 5")})
	h.until("task ended", func() bool { return h.p.Task1(id).State == stead.TaskFailed })
	if code := h.p.Task1(id).ExitCode; code == nil || *code != 5 {
		t.Errorf("exit code %v", code)
	}
	h.until("removed", func() bool { return len(h.e.Workloads()) == 1 })
}
