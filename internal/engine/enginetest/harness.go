// Package enginetest is the conformance suite of package engine: what every
// engine does alike. An engine's own test calls Run with a Harness.
package enginetest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

// Harness is what the suite must know of an engine.
type Harness struct {
	// New makes an engine without workloads that writes to lines; it ends with t,
	// and removes everything it made.
	New func(t *testing.T, lines *logs.Store) engine.Engine
	// Reopen ends the engine as a crash does, leaves its instances running, and
	// returns a new one that adopts them. Nil: the engine keeps nothing.
	Reopen func(t *testing.T, old engine.Engine, lines *logs.Store) engine.Engine
	// Image is a reference of the image of testapp, as PushTestImage returns it.
	Image string
	// Client reaches the addresses that the engine tells. Nil: http.DefaultClient.
	Client *http.Client
	// Real: the instances are real processes, with signals, limits and terminals.
	Real bool
	// Timeout is how long any one thing may take; 30 s by default.
	Timeout time.Duration
}

// fixture is one test's engine and what was seen of it.
type fixture struct {
	t      *testing.T
	h      Harness
	e      engine.Engine
	lines  *logs.Store
	prefix string // of the IDs
	end    func() // ends the watch and waits for it

	mu      sync.Mutex
	now     map[string]engine.Status // by instance
	history []engine.Status
	synced  bool
	changed chan struct{}
}

func setup(t *testing.T, h Harness) *fixture {
	t.Helper()
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	if h.Client == nil {
		h.Client = http.DefaultClient
	}
	lines, err := logs.Open(t.TempDir(), logs.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lines.Close() })
	id := string(stead.NewID(time.Now()))
	f := &fixture{t: t, h: h, lines: lines, prefix: "t" + id[24:], e: h.New(t, lines)}
	f.watch(t.Context())
	return f
}

// watch follows the engine until the test ends.
func (f *fixture) watch(ctx context.Context) {
	f.mu.Lock()
	f.now, f.synced, f.changed = map[string]engine.Status{}, false, make(chan struct{})
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for s, err := range f.e.Watch(ctx) {
			if err != nil {
				return
			}
			f.see(s)
		}
	})
	f.end = func() { cancel(); wg.Wait() }
	f.t.Cleanup(f.end)
	f.until("the snapshot's end", func() bool { return f.synced })
}

func (f *fixture) see(s engine.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case s.Synced:
		f.synced = true
	case s.State == engine.StateGone:
		delete(f.now, s.Instance)
	default:
		f.now[s.Instance] = s
	}
	f.history = append(f.history, s)
	close(f.changed)
	f.changed = make(chan struct{})
}

// until waits until ok, which is called with f.mu held, says true.
func (f *fixture) until(what string, ok func() bool) {
	f.t.Helper()
	limit := time.After(f.h.Timeout)
	for {
		f.mu.Lock()
		done, changed := ok(), f.changed
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			f.t.Fatalf("waited %s for %s; seen:\n%s", f.h.Timeout, what, f.seen())
		}
	}
}

func (f *fixture) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, s := range f.history[max(0, len(f.history)-30):] {
		fmt.Fprintf(&b, "  %s %s %s cause=%q reason=%q restarts=%d\n", s.Instance, s.Name, s.State, s.Cause, s.Reason, s.Restarts)
	}
	return b.String()
}

// workload returns a web workload that runs testapp with the arguments.
func (f *fixture) workload(id string, args ...string) engine.Workload {
	sizes := stead.Sizes()
	return engine.Workload{
		ID: f.prefix + "-" + id, App: stead.NewID(time.Now()), AppName: "testapp", Process: "web", Release: 1,
		FirstIndex: 1, Replicas: 1, Image: f.h.Image, Command: append(stead.Command{TestApp}, args...),
		Env: stead.Config{"PORT": "5000", "GREETING": "hi"}, Size: sizes[0], Port: 5000,
		Health: stead.Health{BootLimit: 10}, StopGrace: 5 * time.Second, LogStream: "app/" + f.prefix + "-" + id,
	}
}

// task returns a task that runs testapp with the arguments.
func (f *fixture) task(id string, args ...string) engine.Workload {
	w := f.workload(id, args...)
	w.Process, w.Task, w.Port, w.FirstIndex = "run", true, 0, 7
	return w
}

func (f *fixture) apply(w engine.Workload) {
	f.t.Helper()
	if err := f.e.Apply(f.t.Context(), w); err != nil {
		f.t.Fatalf("apply %s: %v", w.ID, err)
	}
}

func (f *fixture) delete(w engine.Workload) {
	f.t.Helper()
	if err := f.e.Delete(f.t.Context(), w.ID); err != nil {
		f.t.Fatalf("delete %s: %v", w.ID, err)
	}
}

// of returns the instances of a workload, by name. f.mu is held.
func (f *fixture) of(w engine.Workload) (all []engine.Status) {
	for _, s := range f.now {
		if s.Workload == w.ID {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b engine.Status) int {
		return strings.Compare(fmt.Sprintf("%4d%s", len(a.Name), a.Name), fmt.Sprintf("%4d%s", len(b.Name), b.Name))
	})
	return all
}

// up waits until exactly n instances are there, all up, and returns them.
func (f *fixture) up(w engine.Workload, n int) (all []engine.Status) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d up of %s", n, w.ID), func() bool {
		all = f.of(w)
		return len(all) == n && !slices.ContainsFunc(all, func(s engine.Status) bool { return s.State != engine.StateUp })
	})
	return all
}

// first waits for a status of the workload that ok accepts, now or in the past.
func (f *fixture) first(w engine.Workload, what string, ok func(engine.Status) bool) (got engine.Status) {
	f.t.Helper()
	f.until(what, func() bool {
		i := slices.IndexFunc(f.history, func(s engine.Status) bool { return s.Workload == w.ID && ok(s) })
		if i >= 0 {
			got = f.history[i]
		}
		return i >= 0
	})
	return got
}

func (f *fixture) gone(w engine.Workload) {
	f.t.Helper()
	f.until(w.ID+" gone", func() bool { return len(f.of(w)) == 0 })
}

// get requests a path of an instance.
func (f *fixture) get(a netip.AddrPort, path string) (string, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), f.h.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.String()+path, nil)
	if err != nil {
		return "", err
	}
	r.Close = true
	resp, err := f.h.Client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(b), err
}

// output returns the workload's log lines once there are n.
func (f *fixture) output(w engine.Workload, n int) (lines []logs.Line) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.h.Timeout)
	defer cancel()
	for l, err := range f.lines.Tail(ctx, w.LogStream, logs.Query{Num: -1, Follow: true, Source: "app"}) {
		if err != nil {
			f.t.Fatalf("read log: %v", err)
		}
		if lines = append(lines, l); len(lines) == n {
			return lines
		}
	}
	f.t.Fatalf("%d of %d log lines within %s: %v", len(lines), n, f.h.Timeout, lines)
	return nil
}
