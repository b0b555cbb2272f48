package converge

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// SleepPlatform is what the sleep loop uses of the hall.
type SleepPlatform interface {
	Idlers(ctx context.Context) ([]platform.Idler, error)
	Sleep(ctx context.Context, app stead.ID) error
	Wake(ctx context.Context, app stead.ID) error
	AwaitApp(ctx context.Context, ref string, stage platform.Stage, limit time.Duration) (stead.App, error)
}

// SleepRouter is what the sleep loop needs of the data plane.
type SleepRouter interface {
	// Wanted yields the apps that requests wait for, again and again.
	Wanted(ctx context.Context) iter.Seq2[route.Wanted, error]
	// Activity tells when apps that may sleep were last asked for.
	Activity(ctx context.Context) (map[stead.ID]route.Activity, error)
}

// Sleep stops apps that are idle, and starts them when a request waits.
type Sleep struct {
	Platform SleepPlatform
	Router   SleepRouter
	Logs     logs.Appender
	Tick     time.Duration // how often idle apps are looked for; 0: 5 s
	Logger   *slog.Logger

	mu     sync.Mutex
	waking map[stead.ID]bool
	wg     sync.WaitGroup
}

// Run looks after idle and wanted apps until ctx ends.
func (s *Sleep) Run(ctx context.Context) error {
	ctx = stead.WithActor(ctx, stead.System)
	if s.Tick == 0 {
		s.Tick = 5 * time.Second
	}
	s.waking = map[stead.ID]bool{}
	defer s.wg.Wait()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.listen(ctx) })
	g.Go(func() error { return s.idle(ctx) })
	return g.Wait()
}

// listen wakes what the router says is wanted.
func (s *Sleep) listen(ctx context.Context) error {
	for {
		for want, err := range s.Router.Wanted(ctx) {
			if err != nil {
				break // the router restarts; what waits there is told again
			}
			s.wake(ctx, want)
		}
		if !pause(ctx, 200*time.Millisecond) {
			return nil
		}
	}
}

// wake starts an app unless that is under way.
func (s *Sleep) wake(ctx context.Context, want route.Wanted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waking[want.App] {
		return
	}
	s.waking[want.App] = true
	s.wg.Go(func() {
		s.rouse(ctx, want)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waking, want.App)
	})
}

// wakeLimit is how long a start is watched, to tell how long it took.
const wakeLimit = time.Minute

func (s *Sleep) rouse(ctx context.Context, want route.Wanted) {
	noticed := time.Now()
	if err := s.Platform.Wake(ctx, want.App); err != nil {
		s.logged(ctx, "app not woken", err, want.App)
		return
	}
	asked := time.Now()
	a, err := s.Platform.AwaitApp(ctx, string(want.App), platform.StageSettled, wakeLimit)
	if err != nil || !a.Settled {
		s.logged(ctx, "app did not wake in time", err, want.App)
		return
	}
	text := fmt.Sprintf("woke in %.3f s: %.3f until the request was noticed, %.3f to ask for instances, %.3f until they were up and routed",
		time.Since(want.Since).Seconds(), noticed.Sub(want.Since).Seconds(), asked.Sub(noticed).Seconds(), time.Since(asked).Seconds())
	line := logs.Line{At: time.Now(), Source: "stead", Process: stead.ProcessWeb, Text: text}
	s.logged(ctx, "line lost", s.Logs.Append(ctx, logs.AppStream(want.App), line), want.App)
}

func (s *Sleep) logged(ctx context.Context, phrase string, err error, app stead.ID) {
	if err != nil && ctx.Err() == nil {
		s.Logger.Error(phrase, "app", app, "err", err)
	}
}

// idle stops the apps that nobody asked for long enough.
func (s *Sleep) idle(ctx context.Context) error {
	began := map[stead.ID]time.Time{} // since when an app is seen awake
	for pause(ctx, s.Tick) {
		all, err := s.Platform.Idlers(ctx)
		if err != nil {
			s.logged(ctx, "idle apps not read", err, "")
			continue
		}
		if len(all) == 0 {
			continue
		}
		seen, err := s.Router.Activity(ctx)
		if err != nil {
			s.logged(ctx, "activity not read", err, "")
			continue
		}
		for _, app := range tired(all, seen, began, time.Now()) {
			s.logged(ctx, "app not stopped", s.Platform.Sleep(ctx, app), app)
		}
	}
	return nil
}

// tired returns the apps to stop, and keeps book of since when each is awake:
// an idle time begins no earlier than that.
func tired(all []platform.Idler, seen map[stead.ID]route.Activity, began map[stead.ID]time.Time, now time.Time) (out []stead.ID) {
	awake := map[stead.ID]bool{}
	for _, i := range all {
		if i.Process.Asleep {
			continue
		}
		awake[i.App] = true
		if began[i.App].IsZero() {
			began[i.App] = now
		}
		a, known := seen[i.App]
		last := began[i.App]
		if a.Last.After(last) {
			last = a.Last
		}
		if known && a.Inflight == 0 && now.Sub(last) >= i.Process.IdleAfter.Duration() {
			out = append(out, i.App)
		}
	}
	for app := range began {
		if !awake[app] {
			delete(began, app)
		}
	}
	return out
}
