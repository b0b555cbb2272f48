package converge

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

// Verb is what a Step does.
type Verb string

// The verbs. Drain, Shrink, Delete and Live take effect only while the router
// serves by the table that the same plan asks for.
const (
	Mark   Verb = "mark"   // move the target release on to State
	Apply  Verb = "apply"  // raise Workload to its Replicas
	Drain  Verb = "drain"  // wait for the requests in flight on Instances
	Shrink Verb = "shrink" // lower Workload to its Replicas; the others are drained
	Delete Verb = "delete" // remove the workload ID; it is drained
	Live   Verb = "live"   // the goal serves
	Fail   Verb = "fail"   // the target is given up, because of Status or Reason
	Forget Verb = "forget" // nothing is left of a destroyed app
)

// Step is one thing to do for an app.
type Step struct {
	Verb      Verb
	Workload  engine.Workload    // Apply, Shrink
	ID        string             // Delete
	Instances []string           // Drain
	State     stead.ReleaseState // Mark
	Status    engine.Status      // Fail: the instance that did not come up
	Reason    string             // Fail: if no instance is to blame
}

// AppHave is what there is of an app.
type AppHave struct {
	Statuses []engine.Status  // of its services, in the order of their names
	Serving  map[string]Share // by process, what the last plan served by; empty after a restart
	Drained  map[string]bool  // instances without requests, that are in no table
	Applied  map[string]int   // replicas last applied, by workload
	Phase    *stead.Task      // the target's release phase, when begun
}

// AppPlan is what to do next for an app.
type AppPlan struct {
	Serve map[string]Share // by process
	Steps []Step
	Goal  map[string]engine.Workload // what shall run in the end, by process
	Again time.Duration              // look again after this; 0: when something changes

	// Settled says that nothing more is to be done but to end what no longer
	// serves: what runs is as wanted, or does not come up and goes on trying.
	Settled bool
}

// planner holds one computation of PlanApp.
type planner struct {
	in   platform.Intent
	have AppHave
	now  time.Time
	set  Settings
	out  AppPlan

	spare map[string]bool // workloads not to remove in this plan
}

// PlanApp computes the next steps for an app: pure, and right from any state.
func PlanApp(in platform.Intent, have AppHave, now time.Time, set Settings) AppPlan {
	p := &planner{in: in, have: have, now: now, set: set, out: AppPlan{Serve: map[string]Share{}}}
	switch {
	case in.Destroyed:
		p.destroy()
	case in.Target != nil:
		p.release()
	default:
		p.out.Settled = p.steady(in.Live)
	}
	return p.out
}

func sameRelease(a, b *platform.ReleaseSpec) bool { return a != nil && b != nil && a.ID == b.ID }

func (p *planner) do(s Step) { p.out.Steps = append(p.out.Steps, s) }

// release brings the target up beside what is live.
func (p *planner) release() {
	switch t := p.in.Target; {
	case t.State == stead.ReleaseRolling:
		p.roll()
		return
	case !hasPhase(t):
		p.do(Step{Verb: Mark, State: stead.ReleaseRolling})
	case t.State == stead.ReleasePending:
		p.do(Step{Verb: Mark, State: stead.ReleaseReleasing})
	case p.have.Phase == nil || !p.have.Phase.State.Done():
	case p.have.Phase.State == stead.TaskSucceeded:
		p.do(Step{Verb: Mark, State: stead.ReleaseRolling})
	default:
		p.do(Step{Verb: Fail, Status: engine.Status{Name: p.have.Phase.Name}, Reason: phaseFailure(p.have.Phase)})
	}
	p.steady(p.in.Live)
}

func hasPhase(r *platform.ReleaseSpec) bool {
	_, ok := r.Image.Processes[stead.ProcessRelease]
	return ok
}

func phaseFailure(t *stead.Task) string {
	switch {
	case t.ExitCode != nil:
		return "the release phase (" + t.Name + ") exited with status " + strconv.Itoa(*t.ExitCode)
	case t.Reason != "":
		return "the release phase (" + t.Name + ") failed: " + t.Reason
	}
	return "the release phase (" + t.Name + ") failed"
}

// roll replaces what is live by the target, and when that serves wholly the
// release is live. Nothing of what is live leaves before the first instances of
// every process are up, and all of it comes back if the release fails.
func (p *planner) roll() {
	goal := workloads(p.in, p.in.Target, p.set.Sizes)
	if st, failed := p.failure(goal); failed {
		p.do(Step{Verb: Fail, Status: st})
		p.spare = idsOf(goal) // removed when the database knows
		p.steady(p.in.Live)
		p.out.Goal = goal
		return
	}
	p.out.Goal = goal
	begun := true
	for _, w := range goal {
		begun = p.begun(w) && begun
	}
	keep, whole := idsOf(goal), true
	for _, t := range types(goal) {
		one, _ := p.replace(goal[t], begun, true, keep)
		whole = one && whole
	}
	if whole {
		p.sweep(idsOf(goal))
		p.do(Step{Verb: Live})
		return // what was live is removed when the database knows
	}
	p.stay(goal, keep)
	p.removeBut(keep)
}

// steady keeps the release running in the form that is wanted now. A process
// of another form, epoch or release serves until its successor does. It reports
// whether all is so, as far as it can be.
func (p *planner) steady(r *platform.ReleaseSpec) (settled bool) {
	goal := workloads(p.in, r, p.set.Sizes)
	p.out.Goal = goal
	keep := idsOf(goal)
	settled = true
	for _, t := range types(goal) {
		w := goal[t]
		others, _ := p.others(t, w)
		whole, quiet := p.replace(w, len(others) == 0 || p.begun(w), false, keep)
		_, failed := p.failure(map[string]engine.Workload{t: w})
		settled = settled && quiet && (failed || whole)
	}
	p.removeBut(keep)
	return settled
}

// settled reports whether an instance has been up for long enough. One that
// binds no port is up as soon as it is started, which proves little.
func (p *planner) settled(w engine.Workload, st engine.Status) bool {
	_, served := p.have.Serving[w.Process][w.ID]
	if w.Port != 0 || st.Restarts > 0 && served {
		return true
	}
	left := p.set.Settle - p.now.Sub(st.Since)
	if left > 0 {
		p.again(left)
	}
	return left <= 0
}

func (p *planner) again(d time.Duration) {
	if p.out.Again == 0 || d < p.out.Again {
		p.out.Again = d
	}
}

// startSlack is given to an instance on top of its boot limit, for fetching
// the image and creating the container.
const startSlack = 5 * time.Minute

// failure returns the instance of the goal that shows it will not come up: its
// image or health check failed, or it crashed for a second time.
func (p *planner) failure(goal map[string]engine.Workload) (engine.Status, bool) {
	for _, st := range p.have.Statuses {
		id, ok := ParseIdent(st.Workload)
		w := goal[id.Process]
		if !ok || w.ID != st.Workload {
			continue
		}
		final := st.Cause == engine.CauseBoot || st.Cause == engine.CauseImage || st.Restarts > 0
		late := p.now.Sub(st.Since) > w.Health.BootLimit.Duration()+startSlack
		if st.State == engine.StateCrashed && final {
			return st, true
		}
		if st.State == engine.StateStarting && late {
			st.Reason = "did not start in time"
			return st, true
		}
	}
	return engine.Status{}, false
}

// scale brings w to its replicas: up at once, down after draining. It reports
// whether there was nothing to do.
func (p *planner) scale(w engine.Workload) (quiet bool) {
	if !p.lower(w) {
		return false
	}
	present := map[int]bool{}
	for _, st := range p.have.Statuses {
		if _, index := splitName(st.Name); st.Workload == w.ID && st.State != engine.StateStopping {
			present[index] = true
		}
	}
	for i := range w.Replicas {
		if !present[i+1] {
			p.do(Step{Verb: Apply, Workload: w})
			return false
		}
	}
	return true
}

// lower takes w down to its replicas, after draining. It reports whether there
// was nothing to do.
func (p *planner) lower(w engine.Workload) (quiet bool) {
	top, waiting := 0, []string(nil)
	for _, st := range p.have.Statuses {
		_, index := splitName(st.Name)
		if st.Workload != w.ID || st.State == engine.StateStopping {
			continue
		}
		top = max(top, index)
		if index > w.Replicas && p.undrained(st) {
			waiting = append(waiting, st.Instance)
		}
	}
	applied, known := p.have.Applied[w.ID]
	switch {
	case len(waiting) > 0:
		p.do(Step{Verb: Drain, Instances: waiting})
	case top > w.Replicas || known && applied > w.Replicas: // or asked for, not seen yet
		p.do(Step{Verb: Shrink, Workload: w})
	default:
		return true
	}
	return false
}

// undrained reports whether requests may be in flight on the instance.
func (p *planner) undrained(st engine.Status) bool {
	return st.State == engine.StateUp && st.Address.IsValid() && !p.have.Drained[st.Instance]
}

// sweep removes the live release's workloads that were scaled to none: without
// instances no status will tell of them once another release is live.
func (p *planner) sweep(keep map[string]bool) {
	for _, w := range workloads(p.in, p.in.Live, p.set.Sizes) {
		seen := slices.ContainsFunc(p.have.Statuses, func(st engine.Status) bool { return st.Workload == w.ID })
		if w.Replicas == 0 && !seen && !keep[w.ID] {
			p.do(Step{Verb: Delete, ID: w.ID})
		}
	}
}

// removeBut removes all workloads of the app but those to keep.
func (p *planner) removeBut(keep map[string]bool) {
	for id := range p.spare {
		keep[id] = true
	}
	gone := map[string][]string{} // workload → instances to drain first
	for id := range p.have.Applied {
		if !keep[id] {
			gone[id] = nil
		}
	}
	for _, st := range p.have.Statuses {
		if keep[st.Workload] {
			continue
		}
		if p.undrained(st) {
			gone[st.Workload] = append(gone[st.Workload], st.Instance)
		} else if _, ok := gone[st.Workload]; !ok {
			gone[st.Workload] = nil
		}
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		if waiting := gone[id]; len(waiting) > 0 {
			p.do(Step{Verb: Drain, Instances: waiting})
		} else {
			p.do(Step{Verb: Delete, ID: id})
		}
	}
}

func (p *planner) destroy() {
	p.removeBut(map[string]bool{})
	if len(p.out.Steps) == 0 {
		p.do(Step{Verb: Forget})
	}
}

func idsOf(goal map[string]engine.Workload) map[string]bool {
	out := map[string]bool{}
	for _, w := range goal {
		out[w.ID] = true
	}
	return out
}

func types(goal map[string]engine.Workload) []string { return slices.Sorted(maps.Keys(goal)) }

// headline says in a sentence how an instance failed.
func headline(st engine.Status) string {
	switch r := st.Reason; {
	case st.Cause == engine.CauseExit && st.ExitCode != nil:
		return st.Name + " exited with status " + strconv.Itoa(*st.ExitCode)
	case r == "":
		return st.Name + " did not come up"
	case strings.HasPrefix(r, "killed"):
		return st.Name + " was " + r
	case strings.HasPrefix(r, "did not") || strings.HasPrefix(r, "was ") || strings.HasPrefix(r, "could not"):
		return st.Name + " " + r
	default:
		return st.Name + ": " + r
	}
}
