package converge

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// memory is what the apps loop knows from its earlier turns. Nothing in it is
// needed to be right.
type memory struct {
	mu     sync.Mutex
	apps   map[stead.ID]*appMemory
	tasks  map[stead.ID]*taskMemory
	router routerMemory
}

type appMemory struct {
	serving  map[string]Share
	drained  map[string]bool
	draining map[string]bool
	applied  map[string]int
	asked    map[string]time.Time // last Apply, by workload
	reported []stead.Instance
	told     map[string]engine.Status // progress told of, by instance
	target   *platform.ReleaseSpec    // being rolled out
	live     bool
}

func newMemory() memory {
	return memory{apps: map[stead.ID]*appMemory{}, tasks: map[stead.ID]*taskMemory{}, router: newRouterMemory()}
}

func (m *memory) app(id stead.ID) *appMemory {
	if m.apps[id] == nil {
		m.apps[id] = &appMemory{serving: map[string]Share{}, drained: map[string]bool{}, draining: map[string]bool{},
			applied: map[string]int{}, asked: map[string]time.Time{}, told: map[string]engine.Status{}}
	}
	return m.apps[id]
}

// turn is one round of the apps loop.
type turn struct {
	known bool // intent was read: without it, everything that runs would look like an orphan
	// seen holds the regions whose engines had told all they have when this
	// turn looked. One that tells a moment later counts from the next turn:
	// judged by what this turn saw of it, its apps would have no instances.
	seen  map[string]bool
	apps  []*appTurn
	jobs  []platform.TaskJob
	dirty bool          // intent changed by what was done: read it again
	again time.Duration // look again after this
}

type appTurn struct {
	in       platform.Intent
	services []engine.Status
	tasks    []engine.Status
	mem      *appMemory
	plan     AppPlan
}

// runApps reads intent on each wake and tick, and plans again whenever an
// engine tells something.
func (l *Loops) runApps(ctx context.Context) error {
	apps, stop := l.d.Platform.Wakes(platform.TopicApps)
	defer stop()
	tasks, stop2 := l.d.Platform.Wakes(platform.TopicTasks)
	defer stop2()
	tick := time.NewTicker(l.set.Tick)
	defer tick.Stop()
	t, read := &turn{}, true
	for ctx.Err() == nil {
		if read {
			t = l.read(ctx, t)
		}
		if t.known {
			l.round(ctx, t)
		}
		if read = t.dirty; read {
			continue
		}
		timer := time.NewTimer(max(t.again, time.Millisecond))
		if t.again == 0 {
			timer.Stop()
		}
		var retry <-chan time.Time
		if !t.known {
			retry = time.After(readRetry)
		}
		select {
		case <-ctx.Done():
		case <-apps:
			read = true
		case <-tasks:
			read = true
		case <-tick.C:
			read = true
		case <-retry:
			read = true
		case <-timer.C:
		case <-l.poke:
		}
		timer.Stop()
	}
	return nil
}

// readRetry is how soon intent is asked for again that was never read yet.
const readRetry = 200 * time.Millisecond

// read loads intent; on failure the last known stays.
func (l *Loops) read(ctx context.Context, last *turn) *turn {
	jobs, err := l.d.Platform.OpenTasks(ctx)
	var ins []platform.Intent
	if err == nil {
		ins, err = l.d.Platform.Intents(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			l.log.Error("intent not read", "err", err)
		}
		last.dirty = false
		return last
	}
	t := &turn{known: true, jobs: jobs}
	for _, in := range ins {
		t.apps = append(t.apps, &appTurn{in: in, mem: l.mem.app(in.App.ID)})
	}
	l.forgetUnknown(ins)
	return t
}

func (l *Loops) forgetUnknown(ins []platform.Intent) {
	known := map[stead.ID]bool{}
	for _, in := range ins {
		known[in.App.ID] = true
	}
	maps.DeleteFunc(l.mem.apps, func(id stead.ID, _ *appMemory) bool { return !known[id] })
}

// round plans and acts once for all apps and tasks.
func (l *Loops) round(ctx context.Context, t *turn) {
	t.dirty, t.again = false, 0
	now := time.Now()
	strangers := l.look(t)
	ready := t.apps[:0:0]
	for _, a := range t.apps {
		if t.seen[a.in.App.Region] {
			ready = append(ready, a)
			l.plan(ctx, a, now)
			if a.plan.Again > 0 && (t.again == 0 || a.plan.Again < t.again) {
				t.again = a.plan.Again
			}
		}
	}
	l.route(t)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	var dirty sync.Map
	for _, a := range ready {
		g.Go(func() error {
			if l.act(gctx, a, now) {
				dirty.Store(a.in.App.ID, true)
			}
			l.report(gctx, a)
			l.done(gctx, a)
			return nil
		})
	}
	_ = g.Wait() // each app's failures are logged and tried again
	if l.runTasks(ctx, t, now) {
		t.dirty = true
	}
	l.removeStrangers(ctx, strangers)
	dirty.Range(func(any, any) bool { t.dirty = true; return false })
}

// look gives each app its statuses, and returns those of ours which belong to
// no app, by region.
func (l *Loops) look(t *turn) map[string][]engine.Status {
	apps := map[stead.ID]*appTurn{}
	for _, a := range t.apps {
		a.services, a.tasks = nil, nil
		apps[a.in.App.ID] = a
	}
	jobs := map[stead.ID]stead.ID{}
	for _, j := range t.jobs {
		jobs[j.Task.ID] = j.App.ID
	}
	strangers := map[string][]engine.Status{}
	t.seen = map[string]bool{}
	for region := range l.d.Engines {
		all, synced := l.seen.region(region)
		t.seen[region] = synced
		for _, st := range all {
			if !place(apps, jobs, st) {
				strangers[region] = append(strangers[region], st)
			}
		}
	}
	return strangers
}

func place(apps map[stead.ID]*appTurn, jobs map[stead.ID]stead.ID, st engine.Status) bool {
	if task, ok := parseTask(st.Workload); ok {
		a := apps[jobs[task]]
		if a != nil {
			a.tasks = append(a.tasks, st)
		}
		return a != nil
	}
	id, ok := ParseIdent(st.Workload)
	if !ok {
		return true // not ours to judge
	}
	a := apps[id.App]
	if a != nil {
		a.services = append(a.services, st)
	}
	return a != nil
}

// removeStrangers deletes what runs for apps and tasks that are no more.
func (l *Loops) removeStrangers(ctx context.Context, strangers map[string][]engine.Status) {
	for region, all := range strangers {
		done := map[string]bool{}
		for _, st := range all {
			if !done[st.Workload] && st.State != engine.StateStopping {
				done[st.Workload] = true
				l.logged(ctx, "orphan not deleted", l.d.Engines[region].Delete(ctx, st.Workload), "workload", st.Workload)
			}
		}
	}
}

func (l *Loops) plan(ctx context.Context, a *appTurn, now time.Time) {
	l.follow(ctx, a)
	have := AppHave{Statuses: a.services, Serving: a.mem.serving, Drained: l.drained(a.mem), Applied: a.mem.applied}
	if t := a.in.Target; t != nil && t.State == stead.ReleaseReleasing && hasPhase(t) {
		task, err := l.d.Platform.ReleaseTask(ctx, t.ID)
		if l.logged(ctx, "release phase not started", err, "app", a.in.App.Name) {
			have.Phase = &task
		}
	}
	a.plan = PlanApp(a.in, have, now, l.set)
	a.mem.serving = a.plan.Serve
	l.progress(ctx, a)
}

// logged logs a failure and reports whether there was none.
func (l *Loops) logged(ctx context.Context, phrase string, err error, attrs ...any) bool {
	if err != nil && ctx.Err() == nil {
		l.log.Error(phrase, append(attrs, "err", err)...)
	}
	return err == nil
}

// callLimit bounds one call of an engine, which answers when it has accepted.
const callLimit = 30 * time.Second

// act does the steps of an app; it reports whether intent changed by them.
func (l *Loops) act(ctx context.Context, a *appTurn, now time.Time) (changed bool) {
	routed := l.routed()
	for _, s := range a.plan.Steps {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		changed = l.step(ctx, a, s, routed, now) || changed
		cancel()
	}
	return changed
}

func (l *Loops) step(ctx context.Context, a *appTurn, s Step, routed bool, now time.Time) (changed bool) {
	p, e := l.d.Platform, l.d.Engines[a.in.App.Region]
	switch s.Verb {
	case Mark:
		return l.moved(ctx, "release not moved on", p.MarkRelease(ctx, a.in.Target.ID, s.State), a)
	case Fail:
		return l.fail(ctx, a, s)
	case Apply:
		l.apply(ctx, e, a, s.Workload, now)
	}
	if !routed { // the router still serves by an older table
		return false
	}
	switch s.Verb {
	case Drain:
		l.drain(a.mem, s.Instances)
	case Shrink:
		l.apply(ctx, e, a, s.Workload, now)
	case Delete:
		if l.logged(ctx, "workload not deleted", e.Delete(ctx, s.ID), "workload", s.ID) {
			delete(a.mem.applied, s.ID)
		}
	case Live:
		return l.live(ctx, a)
	case Forget:
		return l.forget(ctx, a)
	}
	return false
}

// moved handles what a change of a release's state answers: on a conflict the
// intent has changed meanwhile, so it is read again.
func (l *Loops) moved(ctx context.Context, phrase string, err error, a *appTurn) bool {
	return l.logged(ctx, phrase, err, "app", a.in.App.Name) || stead.KindOf(err) == stead.KindConflict
}

// repeatApply is when an Apply that shows no effect is said again.
const repeatApply = 10 * time.Second

func (l *Loops) apply(ctx context.Context, e engine.Engine, a *appTurn, w engine.Workload, now time.Time) {
	if n, ok := a.mem.applied[w.ID]; ok && n == w.Replicas && now.Sub(a.mem.asked[w.ID]) < repeatApply {
		return
	}
	a.mem.asked[w.ID] = now
	a.mem.applied[w.ID] = w.Replicas
	l.logged(ctx, "workload not applied", e.Apply(ctx, l.connected(w)), "workload", w.ID)
}

func (l *Loops) live(ctx context.Context, a *appTurn) bool {
	t := a.in.Target
	err := l.d.Platform.ReleaseLive(ctx, t.ID)
	if err == nil {
		l.tellLive(ctx, a)
	}
	return l.moved(ctx, "release not made live", err, a)
}

func (l *Loops) fail(ctx context.Context, a *appTurn, s Step) bool {
	reason := s.Reason
	if reason == "" {
		reason = headline(s.Status)
	}
	lines := l.lastLines(ctx, a, s.Status)
	full := reason
	for _, line := range lines {
		full += "\n    " + line
	}
	err := l.d.Platform.ReleaseFailed(ctx, a.in.Target.ID, full)
	if err == nil {
		l.tellFailed(ctx, a, reason, lines)
	}
	return l.moved(ctx, "release failure not recorded", err, a)
}

// forget removes the last of a destroyed app, when its tasks are gone too.
func (l *Loops) forget(ctx context.Context, a *appTurn) bool {
	if len(a.tasks) > 0 || len(a.services) > 0 {
		return false
	}
	if d, ok := l.d.Logs.(interface{ Delete(stream string) error }); ok {
		l.logged(ctx, "logs not deleted", d.Delete(logs.AppStream(a.in.App.ID)), "app", a.in.App.Name)
	}
	if l.d.Forget != nil && !l.logged(ctx, "app not cleaned up", l.d.Forget(ctx, a.in.App.ID), "app", a.in.App.Name) {
		return false
	}
	return l.moved(ctx, "app not forgotten", l.d.Platform.ForgetApp(ctx, a.in.App.ID), a)
}

// report tells the platform of an app's instances, when they changed.
func (l *Loops) report(ctx context.Context, a *appTurn) {
	all := instances(a.in, slices.Concat(a.services, a.tasks))
	if a.mem.reported != nil && reflect.DeepEqual(all, a.mem.reported) {
		return
	}
	err := l.d.Platform.ReportInstances(ctx, a.in.App.ID, all)
	if l.logged(ctx, "instances not reported", err, "app", a.in.App.Name) {
		a.mem.reported = all
	}
}

// done tells the platform which change of the app the router serves by, and
// which one is carried out.
func (l *Loops) done(ctx context.Context, a *appTurn) {
	if a.in.Destroyed || !l.routed() {
		return
	}
	routed, settled := a.in.Change, a.in.Settled
	if a.plan.Settled {
		settled = a.in.Change
	}
	if routed == a.in.Routed && settled == a.in.Settled {
		return
	}
	if l.logged(ctx, "what is done not reported", l.d.Platform.ReportDone(ctx, a.in.App.ID, routed, settled), "app", a.in.App.Name) {
		a.in.Routed, a.in.Settled = routed, settled
	}
}

// connected gives a workload what the operator allows all of them.
func (l *Loops) connected(w engine.Workload) engine.Workload {
	w.Internet = !l.set.Offline
	return w
}
