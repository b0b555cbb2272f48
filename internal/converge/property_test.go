package converge_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// TestAnyOrder kills the loops, fails calls, crashes instances and changes
// intent in random order. No table may have an instance twice or, while no
// instance was crashed and nothing scaled to none, be without a backend; at rest
// what runs is what is wanted. TestReplace says how two workloads share a table.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		defer func() { h.stop(); h.start() }() // quiet before the next
		app := h.live("hello")
		var excused, flaky atomic.Bool
		var bad atomic.Value
		h.stop()
		h.r.Seen = func(tb *route.Table) {
			if err := sound(tb, excused.Load()); err != nil {
				bad.CompareAndSwap(nil, err)
			}
		}
		var calls atomic.Int64
		fault := func() error {
			if flaky.Load() && calls.Add(1)%3 == 0 {
				return errors.New("flaky")
			}
			return nil
		}
		h.r.Fault = fault
		h.p.Fault = func(string) error { return fault() }
		h.start()
		want, release := 1, 1
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch op := rapid.SampledFrom([]string{"release", "bad", "scale", "restart", "die", "crash", "flaky", "rest"}).Draw(rt, "op"); op {
			case "release":
				release++
				h.p.Release1(app.ID, image(fmt.Sprint("v", release)))
			case "bad":
				release++
				h.p.Release1(app.ID, image("x", "web=exit 1"))
			case "scale":
				want = rapid.IntRange(1, 4).Draw(rt, "quantity") // with none, a bad release would rightly go live
				h.p.Change(app.ID, quantityOf(want))
			case "restart":
				h.p.Change(app.ID, func(in *platform.Intent) {
					if len(in.Processes) == 0 {
						in.Processes = []stead.Process{stead.DefaultProcess("web")}
					}
					in.Processes[0].Epoch++
				})
			case "die":
				h.stop()
				h.start()
			case "crash":
				excused.Store(true)
				if tb := h.r.Table(); tb != nil && len(tb.Routes) > 0 && len(tb.Routes[0].Backends) > 0 {
					h.e.Crash(tb.Routes[0].Backends[0].Instance, 1)
				}
			case "flaky":
				flaky.Store(!flaky.Load())
			case "rest":
				h.until("rest", func() bool { return h.rests(app, want) })
			}
		}
		flaky.Store(false)
		h.until("rest at the end", func() bool { return h.rests(app, want) })
		if err := bad.Load(); err != nil {
			rt.Fatal(err)
		}
	})
}

// sound checks one table.
func sound(tb *route.Table, excused bool) error {
	for _, r := range tb.Routes {
		if len(r.Backends) == 0 && !excused {
			return fmt.Errorf("nothing serves: %+v", r)
		}
		seen := map[string]bool{}
		for _, b := range r.Backends {
			if seen[b.Instance] {
				return fmt.Errorf("an instance serves twice: %+v", r)
			}
			seen[b.Instance] = true
		}
	}
	return nil
}

// rests reports whether what runs is exactly what is wanted.
func (h *house) rests(app stead.App, want int) bool {
	ins, err := h.p.Intents(h.t.Context())
	if err != nil || len(ins) != 1 || ins[0].Target != nil || h.backends() != want {
		return false
	}
	epoch := 0
	for _, p := range ins[0].Processes {
		epoch = p.Epoch
	}
	for _, w := range h.e.Workloads() {
		id, ok := converge.ParseIdent(w.ID)
		old := id.Release != ins[0].Live.Version || id.Epoch != epoch
		if !ok || old && w.Replicas > 0 || !old && w.Replicas != want {
			return false
		}
	}
	return true
}
