package platform

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steadpaas/stead"
)

func TestDeploy(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	if a.URL != "http://hello.stead.localhost" || a.GitURL != "http://127.0.0.1:7800/git/hello.git" || a.SSHURL != "ssh://git@127.0.0.1:2222/hello.git" {
		t.Errorf("addresses: %+v", a)
	}
	r := w.deploy("hello", "one", "web", "worker", "release")
	in := w.intent(a.ID)
	if in.Live != nil || in.Target == nil || in.Target.ID != r.ID || len(in.Routes) != 1 || in.Routes[0].Host != "hello.stead.localhost" {
		t.Fatalf("intent after build: %+v", in)
	}
	check(t, w.MarkRelease(w.system, r.ID, stead.ReleaseReleasing))
	task, err := w.ReleaseTask(w.system, r.ID)
	check(t, err)
	again, err := w.ReleaseTask(w.system, r.ID)
	check(t, err)
	if task.ID != again.ID || task.Name != "release.1" {
		t.Errorf("release tasks: %+v %+v", task, again)
	}
	check(t, w.StartTask(w.system, task.ID))
	check(t, w.FinishTask(w.system, task.ID, ptr(0), ""))
	r = w.roll(r)
	if r.State != stead.ReleaseLive || r.LiveAt == nil {
		t.Errorf("release: %+v", r)
	}
	in = w.intent(a.ID)
	if in.Live == nil || in.Live.ID != r.ID || in.Target != nil {
		t.Errorf("intent when live: %+v", in)
	}
	procs, err := w.Processes(w.admin, "hello")
	check(t, err)
	if len(procs) != 2 || procs[0].Type != "web" || procs[0].Quantity != 1 || procs[1].Quantity != 0 || procs[1].Command[2] != "run worker" {
		t.Errorf("processes: %+v", procs)
	}
	want := []string{"release.create", "release.start", "release.start", "release.live"}
	if d := cmp.Diff(want, w.verbs("release.")); d != "" {
		t.Error(d)
	}
}

func TestFailedReleaseKeepsTheOld(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	old := w.live("hello", "web")
	r := w.deploy("hello", "two", "web")
	check(t, w.MarkRelease(w.system, r.ID, stead.ReleaseRolling))
	check(t, w.ReleaseFailed(w.system, r.ID, "web.1 exited with status 1"))
	check(t, w.ReleaseFailed(w.system, r.ID, "again"))
	wantKind(t, "live after failed", w.ReleaseLive(w.system, r.ID), stead.KindConflict)
	wantKind(t, "mark after failed", w.MarkRelease(w.system, r.ID, stead.ReleaseRolling), stead.KindConflict)
	in := w.intent(a.ID)
	if in.Live == nil || in.Live.ID != old.ID || in.Target != nil {
		t.Errorf("intent: %+v", in)
	}
	got, err := w.Release(w.admin, "hello", 2)
	check(t, err)
	if got.State != stead.ReleaseFailed || got.Reason != "web.1 exited with status 1" {
		t.Errorf("release: %+v", got)
	}
}

func TestReleasesTakeTurns(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	first := w.deploy("hello", "one", "web")
	check(t, w.MarkRelease(w.system, first.ID, stead.ReleaseRolling))
	second := w.deploy("hello", "two", "web")
	third := w.deploy("hello", "three", "web")
	wantKind(t, "mark out of turn", w.MarkRelease(w.system, third.ID, stead.ReleaseRolling), stead.KindConflict)
	wantKind(t, "mark superseded", w.MarkRelease(w.system, second.ID, stead.ReleaseRolling), stead.KindConflict)
	if in := w.intent(a.ID); in.Target.ID != first.ID {
		t.Errorf("target is v%d, want the one that was started", in.Target.Version)
	}
	check(t, w.ReleaseLive(w.system, first.ID))
	if in := w.intent(a.ID); in.Live.ID != first.ID || in.Target.ID != third.ID {
		t.Errorf("intent: %+v", in)
	}
	w.roll(third)
	all, err := w.Releases(w.admin, "hello")
	check(t, err)
	var states []stead.ReleaseState
	for _, r := range all {
		states = append(states, r.State)
	}
	if d := cmp.Diff([]stead.ReleaseState{stead.ReleaseLive, stead.ReleaseSuperseded, stead.ReleaseSuperseded}, states); d != "" {
		t.Error(d)
	}
}

func TestBuildClaims(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	first, second := w.push("hello"), w.push("hello")
	job, err := w.ClaimBuild(w.system, "a", time.Minute)
	check(t, err)
	if job.Build.ID != first.ID || job.Build.State != stead.BuildRunning {
		t.Fatalf("claimed %+v", job.Build)
	}
	if other, err := w.ClaimBuild(w.system, "b", time.Minute); err != nil || other != nil {
		t.Fatalf("builds of one app run one after the other, got %v, %v", other, err)
	}
	w.advance(2 * time.Minute)
	job, err = w.ClaimBuild(w.system, "b", time.Minute)
	check(t, err)
	if job == nil || job.Build.ID != first.ID {
		t.Fatalf("claim that ran out: %+v", job)
	}
	wantKind(t, "keep what was taken over", w.KeepBuild(w.system, first.ID, "a", time.Minute), stead.KindConflict)
	_, err = w.FinishBuild(w.system, first.ID, "a", BuildOutcome{}, nil)
	wantKind(t, "finish what was taken over", err, stead.KindConflict)
	check(t, w.KeepBuild(w.system, first.ID, "b", time.Minute))
	b, err := w.FinishBuild(w.system, first.ID, "b", BuildOutcome{}, stead.Invalid("", "no go.mod", "add one"))
	check(t, err)
	if b.State != stead.BuildFailed || b.Reason != "no go.mod; add one" {
		t.Errorf("failed build: %+v", b)
	}
	again, err := w.FinishBuild(w.system, first.ID, "b", BuildOutcome{Image: image("x", "web")}, nil)
	check(t, err)
	if again.State != stead.BuildFailed {
		t.Errorf("a repeat changed the build: %+v", again)
	}
	_, err = w.CancelBuild(w.admin, "hello", second.Number)
	check(t, err)
	if job, err := w.ClaimBuild(w.system, "b", time.Minute); err != nil || job != nil {
		t.Errorf("claimed a canceled build: %v %v", job, err)
	}
}

// An org with many builds waiting does not keep the others from building.
func TestBuildsAreSharedBetweenOrgs(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateOrg(w.admin, "small")
	check(t, err)
	_, err = w.CreateSpace(w.admin, "small", "prod")
	check(t, err)
	for _, name := range []string{"a", "b", "c", "d"} {
		w.app("busy-" + name)
		w.push("busy-" + name)
	}
	for _, name := range []string{"one", "two"} {
		_, err = w.CreateApp(w.admin, NewApp{Name: name, Org: "small", Space: "prod"})
		check(t, err)
		w.push(name)
	}
	var got []string
	for range 6 {
		job, err := w.ClaimBuild(w.system, "me", time.Hour)
		check(t, err)
		got = append(got, job.App.Name)
	}
	if d := cmp.Diff([]string{"busy-a", "one", "busy-b", "two", "busy-c", "busy-d"}, got); d != "" {
		t.Error(d)
	}
}

func TestBuildThatKills(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	w.push("hello")
	for range maxClaims {
		job, err := w.ClaimBuild(w.system, "a", time.Minute)
		check(t, err)
		if job == nil {
			t.Fatal("no build")
		}
		w.advance(time.Hour)
	}
	if job, err := w.ClaimBuild(w.system, "a", time.Minute); err != nil || job != nil {
		t.Fatalf("got %v, %v", job, err)
	}
	b, err := w.Build(w.admin, "hello", 1)
	check(t, err)
	if b.State != stead.BuildFailed || b.Reason == "" {
		t.Errorf("build: %+v", b)
	}
}

func TestInternalFailureIsNotShown(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	b := w.push("hello")
	_, err := w.ClaimBuild(w.system, "a", time.Minute)
	check(t, err)
	b, err = w.FinishBuild(w.system, b.ID, "a", BuildOutcome{}, errors.New("dial unix /secret/path"))
	check(t, err)
	if b.State != stead.BuildFailed || b.Reason == "" || slices.Contains([]string{"dial unix /secret/path"}, b.Reason) {
		t.Errorf("build: %+v", b)
	}
}

func TestConfigAndRollback(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	_, r, err := w.SetConfig(w.admin, "hello", map[string]*string{"A": ptr("1")})
	check(t, err)
	if r.Version != 0 {
		t.Fatalf("a release before the first build: %+v", r)
	}
	w.live("hello", "web", "worker")
	_, r, err = w.SetConfig(w.admin, "hello", map[string]*string{"A": ptr("2"), "B": ptr("x")})
	check(t, err)
	if r.Version != 2 || r.Description != "Set config A, B" || !slices.Equal(r.ConfigKeys, []string{"A", "B"}) {
		t.Fatalf("release: %+v", r)
	}
	w.roll(r)
	_, same, err := w.SetConfig(w.admin, "hello", map[string]*string{"A": ptr("2"), "C": nil})
	check(t, err)
	if same.ID != r.ID {
		t.Errorf("no change made a release: %+v", same)
	}
	in := w.intent(a.ID)
	if d := cmp.Diff(stead.Config{"A": "2", "B": "x"}, in.Live.Config); d != "" {
		t.Error(d)
	}
	w.roll(w.deploy("hello", "three", "web"))
	back, err := w.Rollback(w.admin, "hello", 1)
	check(t, err)
	if back.Version != 4 || back.Description != "Rollback to v1" || len(back.Image.Processes) != 2 {
		t.Errorf("rollback: %+v", back)
	}
	w.roll(back)
	c, err := w.Config(w.admin, "hello")
	check(t, err)
	if d := cmp.Diff(stead.Config{"A": "1"}, c); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(stead.Config{"A": "1"}, w.intent(a.ID).Live.Config); d != "" {
		t.Error(d)
	}
	former, err := w.Rollback(w.admin, "hello", 0)
	check(t, err)
	if former.Description != "Rollback to v3" {
		t.Errorf("rollback to the former: %+v", former)
	}
	_, err = w.Rollback(w.admin, "hello", 4)
	wantKind(t, "rollback to the live one", err, stead.KindPrecondition)
	_, err = w.Rollback(w.admin, "hello", 99)
	wantKind(t, "rollback to nothing", err, stead.KindNotFound)
	for _, e := range []string{"PORT", "STEAD_X", "1A", "A B", "A;rm"} {
		_, _, err := w.SetConfig(w.admin, "hello", map[string]*string{e: ptr("v")})
		wantKind(t, "config key "+e, err, stead.KindInvalid)
	}
}

func TestRestartAndStop(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	wantKind(t, "restart of nothing", w.Restart(w.admin, "hello", ""), stead.KindPrecondition)
	w.live("hello", "web", "worker")
	epochs := func(what string, web, worker int) {
		t.Helper()
		in := w.intent(a.ID)
		if in.Target != nil || in.Processes[0].Epoch != web || in.Processes[1].Epoch != worker {
			t.Errorf("%s: %+v", what, in.Processes)
		}
	}
	check(t, w.Restart(w.admin, "hello", ""))
	epochs("restart of all", 1, 1)
	check(t, w.Restart(w.admin, "hello", "worker"))
	epochs("restart of one", 1, 2)
	check(t, w.Stop(w.admin, "hello", "web"))
	if in := w.intent(a.ID); !in.Processes[0].Stopped || in.Processes[1].Stopped {
		t.Errorf("processes: %+v", in.Processes)
	}
	check(t, w.Restart(w.admin, "hello", "web"))
	epochs("start of what was stopped", 1, 2)
	if w.intent(a.ID).Processes[0].Stopped {
		t.Error("restart did not start what was stopped")
	}
	wantKind(t, "restart of an unknown process", w.Restart(w.admin, "hello", "nope"), stead.KindNotFound)
}

func TestDestroy(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	w.push("hello")
	check(t, w.DestroyApp(w.admin, "hello"))
	_, err := w.App(w.admin, "hello")
	wantKind(t, "destroyed app", err, stead.KindNotFound)
	_, err = w.CreateApp(w.admin, NewApp{Name: "hello"})
	wantKind(t, "name in use", err, stead.KindConflict)
	if in := w.intent(a.ID); !in.Destroyed || len(in.Routes) != 0 {
		t.Errorf("intent: %+v", in)
	}
	if job, err := w.ClaimBuild(w.system, "a", time.Minute); err != nil || job != nil {
		t.Errorf("a build of a destroyed app: %v %v", job, err)
	}
	check(t, w.ForgetApp(w.system, a.ID))
	check(t, w.ForgetApp(w.system, a.ID))
	w.app("hello")
}

func TestKeptImages(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	first := w.live("hello", "web")
	second := w.roll(w.deploy("hello", "keep", "web"))
	for i := range 15 {
		r := w.deploy("hello", string(rune('a'+i)), "web")
		check(t, w.MarkRelease(w.system, r.ID, stead.ReleaseRolling))
		check(t, w.ReleaseFailed(w.system, r.ID, "no"))
	}
	kept, err := w.KeptImages(w.system)
	check(t, err)
	if !slices.Contains(kept, first.Image.Ref) || !slices.Contains(kept, second.Image.Ref) || len(kept) != 12 {
		t.Errorf("kept %d: %v", len(kept), kept)
	}
}
