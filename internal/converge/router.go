package converge

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"time"

	"github.com/steadpaas/stead/internal/route"
)

// routerMemory is what the router is wished to serve by, and what it does.
type routerMemory struct {
	mu      *sync.Mutex
	want    *route.Table // without version; nil: not known yet
	wantGen int
	doneGen int
	wake    chan struct{}
	drains  chan drainJob
}

type drainJob struct {
	mem       *appMemory
	instances []string
}

func newRouterMemory() routerMemory {
	return routerMemory{mu: &sync.Mutex{}, wake: make(chan struct{}, 1), drains: make(chan drainJob, 1024)}
}

// route computes the table of this turn. There is none before every region
// was seen whole once: an empty table would take down apps that run.
func (l *Loops) route(t *turn) {
	if !l.sawAll(t) {
		return
	}
	views := make([]view, 0, len(t.apps))
	for _, a := range t.apps {
		views = append(views, view{in: a.in, serve: a.mem.serving, live: a.in.Live != nil || promoted(a), statuses: a.services})
	}
	table := buildTable(views)
	m := &l.mem.router
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.want == nil || !reflect.DeepEqual(table, m.want) {
		m.want = table
		m.wantGen++
		hint(m.wake)
	}
	l.routeAgain(table.Routes)
}

// routeAgain forgets that instances are drained which get requests again.
func (l *Loops) routeAgain(rules []route.Rule) {
	routed := map[string]bool{}
	for _, r := range rules {
		for _, b := range r.Backends {
			routed[b.Instance] = true
		}
		for _, d := range r.Destinations {
			for _, b := range d.Backends {
				routed[b.Instance] = true
			}
		}
	}
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	for _, a := range l.mem.apps {
		maps.DeleteFunc(a.drained, func(instance string, _ bool) bool { return routed[instance] })
	}
}

func (l *Loops) sawAll(t *turn) bool {
	for region := range l.d.Engines {
		if !t.seen[region] {
			return false
		}
	}
	return true
}

func promoted(a *appTurn) bool {
	for _, s := range a.plan.Steps {
		if s.Verb == Live {
			return true
		}
	}
	return false
}

// routed reports whether the router serves by the table of this turn.
func (l *Loops) routed() bool {
	m := &l.mem.router
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want != nil && m.wantGen == m.doneGen
}

// Times of the talk with the router.
const (
	publishLimit = 10 * time.Second
	publishAgain = 30 * time.Second // say it again, in case the router lost it
	publishRetry = 500 * time.Millisecond
)

// publishTables gives the router each table that is wished, the newest first,
// and drains instances for the apps loop.
func (l *Loops) publishTables(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	again := time.NewTimer(publishAgain)
	defer again.Stop()
	var version int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-l.mem.router.drains:
			wg.Go(func() { l.runDrain(ctx, j) })
			continue
		case <-l.mem.router.wake:
		case <-again.C:
		}
		version = max(version+1, time.Now().UnixNano())
		if l.publish(ctx, version) {
			again.Reset(publishAgain)
		} else {
			again.Reset(publishRetry)
		}
	}
}

func (l *Loops) publish(ctx context.Context, version int64) bool {
	m := &l.mem.router
	m.mu.Lock()
	table, gen, fresh := m.want, m.wantGen, m.wantGen != m.doneGen
	m.mu.Unlock()
	if table == nil {
		return true
	}
	limited, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	if err := l.d.Router.Publish(limited, &route.Table{Version: version, Routes: table.Routes, Pages: table.Pages}); err != nil {
		l.logged(ctx, "table not published", err)
		return false
	}
	m.mu.Lock()
	m.doneGen = gen
	m.mu.Unlock()
	if fresh {
		l.wake()
	}
	return true
}

// drain has the router say when no request is in flight on the instances; the
// next turn knows.
func (l *Loops) drain(mem *appMemory, instances []string) {
	var fresh []string
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	for _, i := range instances {
		if !mem.draining[i] {
			mem.draining[i] = true
			fresh = append(fresh, i)
		}
	}
	if len(fresh) == 0 {
		return
	}
	select {
	case l.mem.router.drains <- drainJob{mem, fresh}:
	default: // far too many at once: the next turn asks again
		for _, i := range fresh {
			delete(mem.draining, i)
		}
	}
}

func (l *Loops) runDrain(ctx context.Context, j drainJob) {
	limited, cancel := context.WithTimeout(ctx, l.set.DrainLimit)
	err := l.d.Router.Drained(limited, j.instances)
	late := limited.Err() != nil && ctx.Err() == nil
	cancel()
	if err != nil && !late {
		l.logged(ctx, "instances not drained", err)
		if !pause(ctx, publishRetry) {
			return
		}
	}
	l.mem.mu.Lock()
	for _, i := range j.instances {
		delete(j.mem.draining, i)
		if err == nil || late { // a request may not hold an instance back for ever
			j.mem.drained[i] = true
		}
	}
	l.mem.mu.Unlock()
	l.wake()
}

// drained returns the drained instances of an app.
func (l *Loops) drained(mem *appMemory) map[string]bool {
	l.mem.mu.Lock()
	defer l.mem.mu.Unlock()
	return maps.Clone(mem.drained)
}
