package converge

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

// model is an app, an engine and a router in a few maps: plans are carried out
// at once, but instances come up and end in their own time.
type model struct {
	t       *rapid.T
	in      platform.Intent
	have    AppHave
	bad     map[int]bool // releases whose instances do not come up
	version int
	floor   int // as many have served, and are still wanted
	excused bool
}

func newModel(t *rapid.T, quantity, surge int) *model {
	web := stead.DefaultProcess("web")
	web.Quantity, web.Surge = quantity, surge
	m := &model{t: t, bad: map[int]bool{}, have: AppHave{Serving: map[string]Share{}, Drained: map[string]bool{}, Applied: map[string]int{}}}
	m.in = platform.Intent{App: stead.App{ID: appID}, Processes: []stead.Process{web}}
	m.release(false)
	return m
}

func (m *model) web() *stead.Process { return &m.in.Processes[0] }

func (m *model) release(bad bool) {
	m.version++
	m.bad[m.version] = bad
	m.in.Target = spec(m.version, stead.ReleasePending)
}

func (m *model) served() (n int) {
	for _, st := range m.have.Statuses {
		_, index := splitName(st.Name)
		if limit, ok := m.have.Serving["web"][st.Workload]; ok && index <= min(limit, m.web().Quantity) && st.State == engine.StateUp {
			n++
		}
	}
	return n
}

func (m *model) running() (n int) {
	for _, st := range m.have.Statuses {
		if st.State == engine.StateUp || st.State == engine.StateStarting {
			n++
		}
	}
	return n
}

// plan plans once, checks what it did and reports whether it did anything.
func (m *model) plan() (acted bool) {
	before := m.running()
	slices.SortFunc(m.have.Statuses, byName)
	p := PlanApp(m.in, m.have, now, Settings{}.withDefaults())
	m.have.Serving = p.Serve
	n := m.web().Quantity
	served := m.served()
	if m.excused {
		m.floor, m.excused = 0, false
	}
	if served < min(m.floor, n) {
		m.t.Fatalf("%d serve of %d that did: %s", served, m.floor, brief(p))
	}
	m.floor = min(n, max(served, m.floor))
	for _, s := range p.Steps {
		acted = m.do(s) || acted
	}
	q := planner{in: m.in}
	if most := max(before, n+q.surge(engine.Workload{Process: "web", Replicas: n})); m.running() > most {
		m.t.Fatalf("%d run, more than %d: %s", m.running(), most, brief(p))
	}
	if p.Settled && m.in.Target == nil && !acted && m.served() != n {
		m.t.Fatalf("settled with %d of %d: %s", m.served(), n, brief(p))
	}
	return acted
}

func (m *model) do(s Step) bool {
	switch s.Verb {
	case Mark:
		m.in.Target.State = s.State
	case Live:
		if n := m.web().Quantity; m.served() != n {
			m.t.Fatalf("v%d is live with %d of %d", m.in.Target.Version, m.served(), n)
		}
		m.in.Live, m.in.Target = m.in.Target, nil
	case Fail:
		if !m.bad[m.in.Target.Version] {
			m.t.Fatalf("v%d failed: %+v", m.in.Target.Version, s.Status)
		}
		m.in.Target = nil
	case Drain:
		for _, i := range s.Instances {
			m.have.Drained[i] = true
		}
	case Apply:
		for i := range s.Workload.Replicas {
			m.start(s.Workload, i+1)
		}
		m.have.Applied[s.Workload.ID] = s.Workload.Replicas
	case Shrink:
		m.stop(s.Workload.ID, s.Workload.Replicas)
		m.have.Applied[s.Workload.ID] = s.Workload.Replicas
	case Delete:
		known := m.have.Applied[s.ID] > 0
		delete(m.have.Applied, s.ID)
		return m.stop(s.ID, 0) || known
	}
	return true
}

func (m *model) start(w engine.Workload, index int) {
	name := fmt.Sprintf("web.%d", index)
	for _, st := range m.have.Statuses {
		if st.Workload == w.ID && st.Name == name && st.State != engine.StateStopping {
			return
		}
	}
	m.have.Statuses = append(m.have.Statuses, engine.Status{Workload: w.ID, Name: name, State: engine.StateStarting,
		Instance: fmt.Sprint(w.ID, name, len(m.have.Drained), len(m.have.Statuses)), Since: now, Address: netip.MustParseAddrPort("10.0.0.1:5000")})
}

// stop ends the instances of the workload above an index. None may serve.
func (m *model) stop(id string, above int) (any bool) {
	for i, st := range m.have.Statuses {
		_, index := splitName(st.Name)
		if st.Workload != id || index <= above || st.State == engine.StateStopping {
			continue
		}
		limit, routed := m.have.Serving["web"][id]
		if st.State == engine.StateUp && (routed && index <= limit || !m.have.Drained[st.Instance]) {
			m.t.Fatalf("%s of %s was stopped while it served", st.Name, id)
		}
		m.have.Statuses[i].State, any = engine.StateStopping, true
	}
	return any
}

// pass lets one instance that is on the way arrive.
func (m *model) pass(pick int) bool {
	var moving []int
	for i, st := range m.have.Statuses {
		if st.State == engine.StateStarting || st.State == engine.StateStopping {
			moving = append(moving, i)
		}
	}
	if len(moving) == 0 {
		return false
	}
	i := moving[pick%len(moving)]
	st := &m.have.Statuses[i]
	id, _ := ParseIdent(st.Workload)
	switch {
	case st.State == engine.StateStopping:
		m.have.Statuses = append(m.have.Statuses[:i:i], m.have.Statuses[i+1:]...)
	case m.bad[id.Release]:
		st.State, st.Cause = engine.StateCrashed, engine.CauseBoot
	default:
		st.State, st.Since = engine.StateUp, now.Add(-time.Minute)
	}
	return true
}

// TestReplace rolls releases, good and bad, scales, restarts and forgets at any
// time: no fewer serve than did and are wanted, no more run than surge allows,
// nothing is stopped that serves, and in the end what is wanted serves alone.
func TestReplace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, rapid.IntRange(1, 12).Draw(rt, "quantity"), rapid.SampledFrom([]int{1, 25, 50, 100}).Draw(rt, "surge"))
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"plan", "plan", "plan", "pass", "pass", "pass", "pass", "release", "bad", "scale", "restart", "forget"}).Draw(rt, "op") {
			case "plan":
				m.plan()
			case "pass":
				m.pass(rapid.IntRange(0, 30).Draw(rt, "pick"))
			case "release":
				m.release(false)
			case "bad":
				if m.in.Live != nil {
					m.release(true)
				}
			case "scale":
				m.web().Quantity = rapid.IntRange(1, 12).Draw(rt, "to")
				m.floor = m.served()
			case "restart":
				m.web().Epoch++
			case "forget":
				m.have.Serving, m.have.Applied, m.excused = map[string]Share{}, map[string]int{}, true
			}
		}
		for n := 0; m.plan() || m.pass(n); n++ {
			if n > 5000 {
				rt.Fatalf("no rest: %+v", m.have.Statuses)
			}
		}
		w := workloads(m.in, m.in.Live, stead.Sizes())["web"]
		if m.in.Target != nil || !m.have.Serving["web"].only(w.ID) || m.served() != w.Replicas || m.running() != w.Replicas {
			rt.Fatalf("at rest %d of %d serve, %d run, by %v", m.served(), w.Replicas, m.running(), m.have.Serving)
		}
	})
}
