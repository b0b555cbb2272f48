// Package converge carries intent out: the loops that build, roll out, scale,
// run tasks, route and clean up.
//
// Each loop reads what is wanted from the platform and what is there from the
// engines, computes by a pure Plan what to do next, does it, and reports back
// through the platform's use-cases. The loops are level-triggered: a wake is a
// hint, a tick is the truth, and a crash at any moment is resumed by looking
// again. What they remember in memory makes them faster or kinder, never right.
package converge

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// Platform is what the loops use of the hall.
type Platform interface {
	Wakes(t platform.Topic) (c <-chan struct{}, stop func())
	Intents(ctx context.Context) ([]platform.Intent, error)
	ClaimBuild(ctx context.Context, holder string, ttl time.Duration) (*platform.BuildJob, error)
	KeepBuild(ctx context.Context, id stead.ID, holder string, ttl time.Duration) error
	FinishBuild(ctx context.Context, id stead.ID, holder string, out platform.BuildOutcome, failure error) (stead.Build, error)
	MarkRelease(ctx context.Context, id stead.ID, state stead.ReleaseState) error
	ReleaseLive(ctx context.Context, id stead.ID) error
	ReleaseFailed(ctx context.Context, id stead.ID, reason string) error
	ForgetApp(ctx context.Context, id stead.ID) error
	ReportInstances(ctx context.Context, app stead.ID, instances []stead.Instance) error
	ReportDone(ctx context.Context, app stead.ID, routed, settled int) error
	OpenTasks(ctx context.Context) ([]platform.TaskJob, error)
	ReleaseTask(ctx context.Context, release stead.ID) (stead.Task, error)
	StartTask(ctx context.Context, id stead.ID) error
	FinishTask(ctx context.Context, id stead.ID, exit *int, reason string) error
	KeptImages(ctx context.Context) ([]string, error)
}

// Router is what the loops need of the data plane.
type Router interface {
	// Publish returns once requests are served by the table.
	Publish(ctx context.Context, t *route.Table) error
	// Drained waits until no request is in flight on the instances.
	Drained(ctx context.Context, instances []string) error
}

// Logs is what the loops need of package logs. If it also has a method
// Delete(stream string) error, the streams of destroyed apps are deleted.
type Logs interface {
	logs.Appender
	logs.Tailer
}

// Settings tune the loops; zero fields have defaults.
type Settings struct {
	Holder     string        // names this platform in build claims
	Builds     int           // builds at once; 2
	BuildTTL   time.Duration // of a build's claim; 30 s
	Limits     build.Limits  // of each build
	Sizes      []stead.Size  // stead.Sizes()
	AppURL     func(host string) string
	Offline    bool          // instances may not reach public addresses
	Tick       time.Duration // how often to look without a hint; 5 s
	DrainLimit time.Duration // how long requests in flight may hold back an instance's end; 30 s
	Settle     time.Duration // how long a process without a port must have run to count as up; 1 s
	Collect    time.Duration // between collections; 10 min
	AttachTime time.Duration // for an attached task to be attached to; 5 min
}

func (s Settings) withDefaults() Settings {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&s.BuildTTL, 30*time.Second)
	def(&s.Tick, 5*time.Second)
	def(&s.DrainLimit, 30*time.Second)
	def(&s.Settle, time.Second)
	def(&s.Collect, 10*time.Minute)
	def(&s.AttachTime, 5*time.Minute)
	def(&s.Limits.Time, 30*time.Minute)
	if s.Builds == 0 {
		s.Builds = 2
	}
	if s.Holder == "" {
		s.Holder = "stead"
	}
	if s.Sizes == nil {
		s.Sizes = stead.Sizes()
	}
	if s.AppURL == nil {
		s.AppURL = func(host string) string { return "http://" + host }
	}
	return s
}

// Deps is what Loops are made of.
type Deps struct {
	Platform Platform
	Engines  map[string]engine.Engine // by region's name
	Builder  build.Builder
	Sources  platform.Sources
	Logs     Logs
	Router   Router
	// Forget, if set, removes what other rooms keep of a destroyed app, such as
	// its git repository. It is called before the app is forgotten, again until
	// it succeeds.
	Forget   func(ctx context.Context, app stead.ID) error
	Settings Settings
	Logger   *slog.Logger
}

// Loops carries out what the platform's use-cases ask for.
type Loops struct {
	d       Deps
	set     Settings
	log     *slog.Logger
	seen    *sight        // what the engines say
	poke    chan struct{} // wakes the apps loop
	collect chan struct{} // wakes the collect loop
	started time.Time
	mem     memory
}

// New returns loops over d; Run runs them.
func New(d Deps) *Loops {
	l := &Loops{d: d, set: d.Settings.withDefaults(), log: d.Logger,
		poke: make(chan struct{}, 1), collect: make(chan struct{}, 1), mem: newMemory()}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.seen = newSight(l.wake)
	return l
}

// Run runs all loops until ctx ends. What runs in the engines goes on running.
func (l *Loops) Run(ctx context.Context) error {
	ctx = stead.WithActor(ctx, stead.System)
	l.started = time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for region, e := range l.d.Engines {
		g.Go(func() error { return l.watch(ctx, region, e) })
	}
	g.Go(func() error { return l.publishTables(ctx) })
	g.Go(func() error { return l.runApps(ctx) })
	g.Go(func() error { return l.runBuilds(ctx) })
	g.Go(func() error { return l.runCollect(ctx) })
	return g.Wait()
}

func (l *Loops) wake() { hint(l.poke) }

// hint leaves at most one pending wake in c.
func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for d or the end of ctx, and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
