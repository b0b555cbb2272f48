package converge_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/egress"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// drainPlatform keeps one drain.
type drainPlatform struct {
	mu    sync.Mutex
	spec  platform.DrainSpec
	last  logs.DrainReport
	total int64
}

func (p *drainPlatform) Wakes(platform.Topic) (<-chan struct{}, func()) { return nil, func() {} }

func (p *drainPlatform) OpenDrains(context.Context) ([]platform.DrainSpec, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []platform.DrainSpec{p.spec}, nil
}

func (p *drainPlatform) ReportDrain(_ context.Context, _ stead.ID, r logs.DrainReport) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.spec.After = r, r.After
	p.total += r.Delivered
	return nil
}

func (p *drainPlatform) seen() (logs.DrainReport, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.total
}

// TestDrains restarts the loop in the middle: lines written meanwhile arrive.
func TestDrains(t *testing.T) {
	store, err := logs.Open(t.TempDir(), logs.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	bodies := make(chan string, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
	}))
	defer srv.Close()
	to, _ := url.Parse(srv.URL)
	app := stead.NewID(time.Now())
	p := &drainPlatform{spec: platform.DrainSpec{Drain: stead.Drain{ID: "1", AppID: app, Token: "d.1"}, To: to, After: -1}}
	guard := egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	write := func(n int) {
		if err := store.Append(t.Context(), logs.AppStream(app), logs.Line{At: time.Now(), Source: "app", Process: "web.1", Text: fmt.Sprint("line ", n, ".")}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(g egress.Guard) (stop func()) {
		d := &converge.Drains{Platform: p, Logs: store, Guard: g, Tick: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		return func() { cancel(); <-ended }
	}
	arrives := func(want string) {
		t.Helper()
		for deadline := time.After(20 * time.Second); ; {
			select {
			case b := <-bodies:
				if strings.Contains(b, want) {
					return
				}
			case <-deadline:
				t.Fatalf("%q did not arrive", want)
			}
		}
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("never: " + what)
			}
		}
	}
	write(1) // before the drain: not sent
	stop := run(guard)
	wait("the drain has begun", func() bool { r, _ := p.seen(); return r.After == 1 })
	stop()
	write(2)
	stop = run(guard)
	arrives("line 2.")
	wait("it is counted", func() bool { _, total := p.seen(); return total == 1 })
	stop()
	write(3)
	stop = run(egress.Guard{})
	wait("loopback is refused", func() bool {
		r, _ := p.seen()
		return r.Err != nil && strings.Contains(r.Err.Error(), "does not call 127.0.0.1")
	})
	stop()
	stop = run(guard)
	arrives("line 3.")
	wait("both are counted", func() bool { _, total := p.seen(); return total == 2 })
	stop()
}
