package converge

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

var (
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	appID = stead.ID("01890000-0000-7000-8000-000000000001")
)

func spec(version int, state stead.ReleaseState, types ...string) *platform.ReleaseSpec {
	r := &platform.ReleaseSpec{}
	r.ID, r.Version, r.State = stead.ID(fmt.Sprint("release-", version)), version, state
	r.Image = stead.Image{Ref: "x", Processes: map[string]stead.Command{"web": nil}}
	for _, t := range types {
		r.Image.Processes[t] = nil
	}
	return r
}

// at makes a status from "v1 web.1 up" with further words: crash code, "drained".
func at(s string) engine.Status {
	var version int
	var name, state string
	_, _ = fmt.Sscanf(s, "v%d %s %s", &version, &name, &state)
	process, _ := splitName(name)
	id := Ident{App: appID, Process: process, Release: version, Shape: shape(stead.DefaultProcess(process), false)}
	st := engine.Status{Workload: id.String(), Name: name, Instance: fmt.Sprintf("%s-v%d", name, version), State: engine.State(state), Since: now.Add(-5 * time.Second)}
	if process == "web" {
		st.Address = netip.MustParseAddrPort("10.0.0.1:5000")
	}
	if strings.HasSuffix(s, "again") {
		st.Restarts = 1
	}
	if strings.HasSuffix(s, "boot") {
		st.Cause = engine.CauseBoot
	}
	return st
}

func brief(p AppPlan) string {
	out := []string{}
	for _, s := range p.Steps {
		switch s.Verb {
		case Apply, Shrink:
			id, _ := ParseIdent(s.Workload.ID)
			out = append(out, fmt.Sprintf("%s v%d %s=%d", s.Verb, id.Release, id.Process, s.Workload.Replicas))
		case Delete:
			id, _ := ParseIdent(s.ID)
			out = append(out, fmt.Sprintf("delete v%d %s", id.Release, id.Process))
		case Drain:
			out = append(out, "drain "+strings.Join(s.Instances, ","))
		case Mark:
			out = append(out, "mark "+string(s.State))
		case Fail:
			out = append(out, "fail "+s.Status.Name)
		default:
			out = append(out, string(s.Verb))
		}
	}
	serve := []string{}
	for id, n := range p.Serve["web"] {
		i, _ := ParseIdent(id)
		serve = append(serve, fmt.Sprintf("v%d=%d", i.Release, n))
	}
	slices.Sort(serve)
	return strings.Join(serve, "+") + ": " + strings.Join(out, "; ")
}

func TestPlanApp(t *testing.T) {
	live, rolling := spec(1, stead.ReleaseLive), spec(2, stead.ReleaseRolling)
	for _, c := range []struct {
		name         string
		live, target *platform.ReleaseSpec
		quantity     int
		have         []string
		drained      string
		phase        stead.TaskState
		want         string
	}{
		{name: "nothing", quantity: 1, want: ": "},
		{name: "after a power loss", live: live, quantity: 2, want: "v1=2: apply v1 web=2"},
		{name: "at rest", live: live, quantity: 1, have: []string{"v1 web.1 up"}, want: "v1=1: "},
		{name: "pending", live: live, target: spec(2, stead.ReleasePending), quantity: 1, have: []string{"v1 web.1 up"}, want: "v1=1: mark rolling"},
		{name: "pending with a phase", live: live, target: spec(2, stead.ReleasePending, "release"), quantity: 1, have: []string{"v1 web.1 up"}, want: "v1=1: mark releasing"},
		{name: "phase runs", live: live, target: spec(2, stead.ReleaseReleasing, "release"), quantity: 1, have: []string{"v1 web.1 up"}, phase: stead.TaskRunning, want: "v1=1: "},
		{name: "phase done", live: live, target: spec(2, stead.ReleaseReleasing, "release"), quantity: 1, have: []string{"v1 web.1 up"}, phase: stead.TaskSucceeded, want: "v1=1: mark rolling"},
		{name: "phase failed", live: live, target: spec(2, stead.ReleaseReleasing, "release"), quantity: 1, have: []string{"v1 web.1 up"}, phase: stead.TaskFailed, want: "v1=1: fail release.2"},
		{name: "roll", live: live, target: rolling, quantity: 1, have: []string{"v1 web.1 up"}, want: "v1=1: apply v2 web=1"},
		{name: "the first of two", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v1 web.2 up"}, want: "v1=2: apply v2 web=1"},
		{name: "the first is up", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v1 web.2 up", "v2 web.1 up"}, want: "v1=1+v2=2: drain web.2-v1"},
		{name: "its place is free", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v1 web.2 up", "v2 web.1 up"}, drained: "web.2-v1", want: "v1=1+v2=2: shrink v1 web=1"},
		{name: "the second of two", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v1 web.2 stopping", "v2 web.1 up"}, want: "v1=1+v2=2: apply v2 web=2"},
		{name: "both are up", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v2 web.1 up", "v2 web.2 up"}, want: "v2=2: live"},
		{name: "a batch of eight", live: live, target: rolling, quantity: 8, have: []string{"v1 web.1 up", "v1 web.8 up"}, want: "v1=8: apply v2 web=8"},
		{name: "the second fails", live: live, target: rolling, quantity: 2, have: []string{"v1 web.1 up", "v2 web.1 up", "v2 web.2 crashed boot"}, want: "v1=2: fail web.2; apply v1 web=2"},
		{name: "all up", live: live, target: rolling, quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 up"}, want: "v2=1: live"},
		{name: "old goes after live", live: spec(2, stead.ReleaseLive), quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 up"}, want: "v2=1: drain web.1-v1"},
		{name: "drained", live: spec(2, stead.ReleaseLive), quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 up"}, drained: "web.1-v1", want: "v2=1: delete v1 web"},
		{name: "one crash is forgiven", live: live, target: rolling, quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 crashed"}, want: "v1=1: "},
		{name: "two are not", live: live, target: rolling, quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 crashed again"}, want: "v1=1: fail web.1"},
		{name: "never bound", live: live, target: rolling, quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 crashed boot"}, want: "v1=1: fail web.1"},
		{name: "superseded", live: live, target: spec(3, stead.ReleaseRolling), quantity: 1, have: []string{"v1 web.1 up", "v2 web.1 starting"}, want: "v1=1: delete v2 web"},
		{name: "scale down drains", live: live, quantity: 1, have: []string{"v1 web.1 up", "v1 web.2 up"}, want: "v1=1: drain web.2-v1"},
		{name: "then shrinks", live: live, quantity: 1, have: []string{"v1 web.1 up", "v1 web.2 up"}, drained: "web.2-v1", want: "v1=1: shrink v1 web=1"},
		{name: "to none", live: live, quantity: 0, have: []string{"v1 web.1 crashed"}, want: ": shrink v1 web=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			web := stead.DefaultProcess("web")
			web.Quantity = c.quantity
			in := platform.Intent{App: stead.App{ID: appID}, Live: c.live, Target: c.target, Processes: []stead.Process{web}}
			have := AppHave{Drained: map[string]bool{c.drained: true}}
			if c.phase != "" {
				have.Phase = &stead.Task{Name: "release.2", State: c.phase}
			}
			for _, s := range c.have {
				have.Statuses = append(have.Statuses, at(s))
			}
			if diff := cmp.Diff(c.want, brief(PlanApp(in, have, now, Settings{}.withDefaults()))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanTask(t *testing.T) {
	five := 5
	for _, c := range []struct {
		name     string
		attached bool
		state    stead.TaskState
		have     TaskHave
		age      time.Duration
		want     TaskVerb
	}{
		{"new", false, stead.TaskPending, TaskHave{}, 0, TaskApply},
		{"up", false, stead.TaskPending, TaskHave{Status: &engine.Status{State: engine.StateUp}}, 0, TaskStart},
		{"runs", false, stead.TaskRunning, TaskHave{Status: &engine.Status{State: engine.StateUp}}, 0, TaskNothing},
		{"exited", false, stead.TaskRunning, TaskHave{Status: &engine.Status{State: engine.StateExited, ExitCode: &five}}, 0, TaskFinish},
		{"lost", false, stead.TaskRunning, TaskHave{}, 0, TaskFinish},
		{"held", true, stead.TaskPending, TaskHave{Status: &engine.Status{State: engine.StateUp}}, 0, TaskNothing},
		{"nobody came", true, stead.TaskPending, TaskHave{Status: &engine.Status{State: engine.StateUp}}, 6 * time.Minute, TaskFinish},
		{"attached", true, stead.TaskRunning, TaskHave{Status: &engine.Status{State: engine.StateUp}}, 6 * time.Minute, TaskNothing},
		{"its client is gone", true, stead.TaskRunning, TaskHave{Inherited: true}, 0, TaskFinish},
		{"its app is gone", false, stead.TaskPending, TaskHave{Destroyed: true}, 0, TaskFinish},
	} {
		j := platform.TaskJob{Task: stead.Task{Attached: c.attached, State: c.state, CreatedAt: now.Add(-c.age)}}
		if got := PlanTask(j, c.have, now, Settings{}.withDefaults()); got.Verb != c.want {
			t.Errorf("%s: %q, want %q", c.name, got.Verb, c.want)
		}
	}
}

func TestIdent(t *testing.T) {
	i := Ident{App: appID, Process: "a_b-c", Release: 12, Epoch: 3, Shape: "01ab"}
	if back, ok := ParseIdent(i.String()); !ok || back != i {
		t.Errorf("%v from %s", back, i)
	}
	for _, s := range []string{"", "task-x", "a.b.c.d.e", string(appID) + ".web.v1.e1.", string(appID) + ".web.v01.e1.habc"} {
		if _, ok := ParseIdent(s); ok {
			t.Errorf("%q was taken for ours", s)
		}
	}
}
