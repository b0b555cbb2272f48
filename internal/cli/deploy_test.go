package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// deployment plays a platform that takes one push.
type deployment struct {
	build   stead.Build
	release stead.Release
	mu      sync.Mutex
	files   []string // of the uploaded source
}

func (d *deployment) serve(t *testing.T) {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(pattern string, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
	}
	stream := func(pattern string, lines ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i, l := range lines {
				data, _ := json.Marshal(stead.Line{Text: l})
				fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i+1, data)
			}
			fmt.Fprint(w, "event: end\ndata: {}\n\n")
		})
	}
	mux.HandleFunc("POST /v1/apps/hello/sources", d.upload)
	answer("POST /v1/apps/hello/builds", stead.Build{Number: 4, State: stead.BuildQueued})
	stream("GET /v1/apps/hello/builds/4/output", "-----> Go", "\x1b[2Jbuilt")
	answer("GET /v1/apps/hello/builds/4", d.build)
	stream("GET /v1/apps/hello/releases/7/output", "web.1 up")
	answer("GET /v1/apps/hello/releases/7", d.release)
	answer("GET /v1/apps/hello", stead.App{Name: "hello", URL: "http://hello.stead.localhost:8080"})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	loggedIn(t, &platform{URL: s.URL})
}

func (d *deployment) upload(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	for in := tar.NewReader(z); err == nil; {
		var h *tar.Header
		if h, err = in.Next(); err == nil {
			d.mu.Lock()
			d.files = append(d.files, h.Name)
			d.mu.Unlock()
		}
	}
	if !errors.Is(err, io.EOF) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(stead.Source{Kind: stead.SourceArchive, Digest: "sha256:x"})
}

func write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func succeeded() deployment {
	now := time.Now()
	return deployment{build: stead.Build{Number: 4, State: stead.BuildSucceeded, Release: 7},
		release: stead.Release{Version: 7, State: stead.ReleaseLive, LiveAt: &now}}
}

func TestPush(t *testing.T) {
	d := succeeded()
	d.serve(t)
	write(t, map[string]string{"main.go": "package main", ".gitignore": "*.log\n", ".steadignore": "notes\n", "x.log": "", "notes": ""})
	code, out, errs := run(t, "push", "-a", "hello")
	if code != 0 || out != "http://hello.stead.localhost:8080\n" {
		t.Errorf("%d %q", code, out)
	}
	for _, want := range []string{"-----> Go", "[2Jbuilt", "web.1 up", "hello v7 is live"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if strings.Contains(errs, "\x1b") {
		t.Errorf("an escape passed: %q", errs)
	}
	if !slices.Contains(d.files, "main.go") || slices.Contains(d.files, "x.log") || slices.Contains(d.files, "notes") {
		t.Errorf("uploaded %q", d.files)
	}
	if code, out, _ := run(t, "push", "-a", "hello", "-o", "json"); code != 0 || !strings.Contains(out, `"state": "live"`) {
		t.Errorf("%d %q", code, out)
	}
}

func TestPushThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*deployment)
		want   string
	}{
		"build": {func(d *deployment) { d.build.State, d.build.Reason = stead.BuildFailed, "no go.mod" }, "build 4 failed: no go.mod"},
		"release": {func(d *deployment) {
			d.release.State, d.release.Reason = stead.ReleaseFailed, "web.1 exited\nlast\x07 line"
		}, "v7 did not come up: web.1 exited\n  last line"},
		"superseded": {func(d *deployment) { d.release.State, d.release.LiveAt = stead.ReleaseSuperseded, nil }, "v7 was replaced by a newer release"},
	} {
		d := succeeded()
		c.change(&d)
		d.serve(t)
		write(t, map[string]string{"main.go": "package main"})
		if code, out, errs := run(t, "push", "-a", "hello"); code != 1 || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d %q %q", name, code, out, errs)
		}
	}
}

func TestPushOfNothing(t *testing.T) {
	d := succeeded()
	d.serve(t)
	if code, _, errs := run(t, "push", "-a", "hello"); code != 2 || !strings.Contains(errs, "nothing to push") {
		t.Errorf("an empty folder: %d %q", code, errs)
	}
	if code, _, errs := run(t, "push", "-a", "hello", "missing"); code == 0 || !strings.Contains(errs, "missing") {
		t.Errorf("no folder: %d %q", code, errs)
	}
}

func scaled(t *testing.T, settled bool, second stead.Instance) (*shell, *client.Client) {
	t.Helper()
	web := []stead.Process{{Type: "web", Quantity: 2, Size: "basic"}}
	app := stead.App{Name: "hello", Release: 1, Routed: settled, Settled: settled}
	p := serve(t, map[string]any{"GET /v1/apps/hello": app, "GET /v1/apps/hello/wait": app,
		"PATCH /v1/apps/hello/processes": list(web...), "GET /v1/apps/hello/processes": list(web...),
		"GET /v1/apps/hello/instances": list(stead.Instance{Name: "web.1", Process: "web", State: stead.InstanceUp}, second)})
	loggedIn(t, p)
	return &shell{out: io.Discard, err: io.Discard, getenv: os.Getenv}, client.New(p.URL, token)
}

func TestScaleWaits(t *testing.T) {
	crashed := stead.Instance{Name: "web.2", Process: "web", State: stead.InstanceCrashed, Reason: "exit status 1"}
	scaled(t, true, stead.Instance{Name: "web.2", Process: "web", State: stead.InstanceUp})
	if code, out, errs := run(t, "scale", "web=2", "-a", "hello"); code != 0 || !strings.Contains(out, "basic") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	scaled(t, true, crashed)
	if code, _, errs := run(t, "scale", "web=2", "-a", "hello"); code != 1 || !strings.Contains(errs, "web: 1 of 2 up; web.2: exit status 1") {
		t.Errorf("crashed: %d %q", code, errs)
	}
	sh, c := scaled(t, false, crashed)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := sh.awaitSettled(ctx, c, "hello", "web")
	if stead.KindOf(err) != stead.KindPrecondition || !strings.Contains(err.Error(), "web: 1 of 2 up; web.2: exit status 1") {
		t.Errorf("late: %v", err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, interrupt)
	if err := sh.awaitSettled(ctx, c, "hello", "web"); sh.explain(err) != 130 {
		t.Errorf("interrupted: %v", err)
	}
}
