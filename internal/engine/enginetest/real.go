package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

var tailAll = logs.Query{Num: -1}

func crashed(s engine.Status) bool { return s.State == engine.StateCrashed }

func testBadImage(f *fixture) {
	w := f.workload("image", "web")
	w.Image = "none@sha256:" + strings.Repeat("0", 64)
	f.apply(w)
	if s := f.first(w, "a crash", crashed); s.Cause != engine.CauseImage || s.Reason == "" {
		f.t.Errorf("status without an image: %+v", s)
	}
	w = f.workload("program", "web")
	w.Command = stead.Command{"/no/such/program"}
	f.apply(w)
	if s := f.first(w, "a crash", crashed); s.Reason == "" || s.Cause == engine.CauseNone {
		f.t.Errorf("status without a program: %+v", s)
	}
}

// Without a command the image's own runs, with the image's environment.
func testImageCommand(f *fixture) {
	w := f.workload("own")
	w.Command = nil
	f.apply(w)
	if body, err := f.get(f.up(w, 1)[0].Address, "/env?key=FROM_IMAGE"); err != nil || body != "yes" {
		f.t.Errorf("the image's environment: %q, %v", body, err)
	}
}

func testBindLate(f *fixture) {
	w := f.workload("late", "bind-late", "1500")
	f.apply(w)
	s := f.up(w, 1)[0]
	if body, err := f.get(s.Address, "/"); err != nil || body == "" {
		f.t.Errorf("told up, but answered %q, %v", body, err)
	}
	if s.Restarts != 0 {
		f.t.Errorf("%d restarts while it was booting", s.Restarts)
	}
}

func testHealth(f *fixture) {
	w := f.workload("sick", "web")
	w.Health = stead.Health{Path: "/health", BootLimit: 2}
	w.Env["HEALTH_STATUS"] = "503"
	f.apply(w)
	s := f.first(w, "a crash", crashed)
	if s.Cause != engine.CauseBoot || !strings.Contains(s.Reason, "503") {
		f.t.Errorf("status of a bad health check: %+v", s)
	}
	w = f.workload("well", "web")
	w.Health.Path = "/health"
	w.Env["HEALTH_STATUS"] = "204"
	f.apply(w)
	f.up(w, 1)
}

func testStopPolitely(f *fixture) {
	w := f.workload("polite", "web")
	w.StopGrace = 20 * time.Second
	f.apply(w)
	f.up(w, 1)
	start := time.Now()
	f.delete(w)
	f.gone(w)
	if took := time.Since(start); took > 10*time.Second {
		f.t.Errorf("stopping a process that ends at SIGTERM took %s", took)
	}
	if l := f.output(w, 2)[1]; l.Text != "terminated politely" {
		f.t.Errorf("the last line is %q", l.Text)
	}
}

func testStopGrace(f *fixture) {
	w := f.workload("stubborn", "ignore-term")
	w.StopGrace = 2 * time.Second
	f.apply(w)
	s := f.up(w, 1)[0]
	slow := make(chan string, 1)
	go func() { // a request in flight may use the grace
		body, err := f.get(s.Address, "/slow?ms=1000")
		slow <- fmt.Sprint(body, err)
	}()
	start := time.Now()
	f.delete(w)
	f.first(w, "stopping", func(s engine.Status) bool { return s.State == engine.StateStopping })
	f.gone(w)
	if took := time.Since(start); took < 2*time.Second || took > 15*time.Second {
		f.t.Errorf("a process that ignores SIGTERM was killed after %s, want 2 s", took)
	}
	if got := <-slow; got != "slow\n<nil>" {
		f.t.Errorf("a request during the grace: %q", got)
	}
}

func testForkBomb(f *fixture) {
	w := f.task("fork", "fork", "5000")
	w.Size.PIDs = 64
	f.apply(w)
	f.first(w, "the end", exited)
	var n int
	for _, text := range f.kept(w) {
		_, _ = fmt.Sscanf(text, "started %d", &n)
	}
	if n >= 64 {
		f.t.Errorf("%d processes started, the limit is 64", n)
	}
}

func testTTY(f *fixture) {
	s := f.held("tty")
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(f.t.Context(), f.h.Timeout)
	defer cancel()
	r, w := io.Pipe()
	defer w.Close()
	c := app("tty")
	c.TTY = true
	size := make(chan engine.Window, 1)
	size <- engine.Window{Cols: 100, Rows: 30}
	code, err := f.e.Exec(ctx, s.Instance, c, engine.Streams{Stdin: r, Stdout: &out, Resize: size})
	if err != nil || code != 0 || out.String() != "tty\r\n" {
		f.t.Errorf("with a terminal: %q, code %d, %v", out.String(), code, err)
	}
	if got, _, _ := f.exec(s.Instance, app("tty"), nil); got != "no tty\n" {
		f.t.Errorf("without a terminal: %q", got)
	}
}

// A new engine adopts what the old one left: nothing restarts, no line is lost
// or told twice, what ended meanwhile is told, and what is applied again changes nothing.
func testReopen(f *fixture) {
	web, ticks := f.workload("web", "web"), f.workload("tick", "tick", "5")
	web.Replicas = 2
	ticks.Process, ticks.Port = "worker", 0
	f.apply(web)
	f.apply(ticks)
	before, worker := f.up(web, 2), f.up(ticks, 1)[0]
	f.output(ticks, 50)
	f.end()
	f.e = f.h.Reopen(f.t, f.e, f.lines)
	if body, err := f.get(before[0].Address, "/"); err != nil || body == "" {
		f.t.Errorf("while nothing looked the instance answered %q, %v", body, err)
	}
	f.watch(f.t.Context())
	for i, s := range f.up(web, 2) {
		if s.Instance != before[i].Instance || s.Restarts != 0 || s.Address != before[i].Address {
			f.t.Errorf("adopted %+v, was %+v", s, before[i])
		}
	}
	f.apply(web)
	f.apply(ticks)
	if s := f.up(ticks, 1)[0]; s.Instance != worker.Instance {
		f.t.Errorf("the worker was replaced")
	}
	for i, l := range f.output(ticks, len(f.kept(ticks))+50) {
		if want := fmt.Sprint("tick ", i); l.Text != want {
			f.t.Fatalf("line %d is %q, want %q", i, l.Text, want)
		}
	}
	f.endAdopted(web, before[0])
	f.delete(web)
	f.delete(ticks)
	f.gone(web)
	f.gone(ticks)
}

// endAdopted has an adopted instance crash, which must be told.
func (f *fixture) endAdopted(w engine.Workload, s engine.Status) {
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+s.Address.String()+"/exit?code=5", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp, err := f.h.Client.Do(r); err == nil {
		resp.Body.Close()
	}
	got := f.first(w, "the crash of an adopted instance", crashed)
	if got.ExitCode == nil || *got.ExitCode != 5 {
		f.t.Errorf("an adopted instance that crashed: %+v", got)
	}
}
