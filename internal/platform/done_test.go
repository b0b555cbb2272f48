package platform

import (
	"context"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// TestAwaitApp follows a change from its wish to its report.
func TestAwaitApp(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	in := w.intent(a.ID)
	check(t, w.ReportDone(w.system, a.ID, in.Change, in.Change))
	state := func(what string, stage Stage, limit time.Duration, routed, settled bool) {
		t.Helper()
		got, err := w.AwaitApp(w.admin, "hello", stage, limit)
		if check(t, err); got.Routed != routed || got.Settled != settled {
			t.Errorf("%s: routed %v, settled %v", what, got.Routed, got.Settled)
		}
	}
	state("at rest", StageSettled, time.Minute, true, true)
	for what, change := range map[string]func() error{
		"domain":      func() error { _, err := w.AddDomain(w.admin, "hello", "www.example.com"); return err },
		"route":       func() error { _, err := w.AddRoute(w.admin, "hello", stead.Route{Path: "/a"}); return err },
		"maintenance": func() error { _, err := w.UpdateApp(w.admin, "hello", AppPatch{Maintenance: ptr(true)}); return err },
		"scale": func() error {
			_, err := w.Scale(w.admin, "hello", []stead.Scale{{Type: "web", Op: "+", Count: 1}})
			return err
		},
		"restart": func() error { return w.Restart(w.admin, "hello", "web") },
		"stop":    func() error { return w.Stop(w.admin, "hello", "web") },
	} {
		check(t, change())
		state(what, StageRouted, 0, false, false)
		was, in := in, w.intent(a.ID)
		check(t, w.ReportDone(w.system, a.ID, in.Change, was.Change))
		state(what+" routed", StageRouted, time.Minute, true, false)
		go func() { _ = w.ReportDone(w.system, a.ID, in.Change, in.Change) }()
		state(what+" settled", StageSettled, time.Minute, true, true)
	}
	_, err := w.AwaitApp(w.admin, "hello", "done", time.Minute)
	wantKind(t, "unknown stage", err, stead.KindInvalid)
	ctx, cancel := context.WithCancel(w.admin)
	cancel()
	check(t, w.Restart(w.admin, "hello", "web"))
	if _, err := w.AwaitApp(ctx, "hello", StageRouted, time.Minute); err == nil {
		t.Error("a wait outlived its caller")
	}
}
