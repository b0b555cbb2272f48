package converge

import (
	"slices"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

func TestTired(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	idler := func(id stead.ID, asleep bool) platform.Idler {
		return platform.Idler{App: id, Process: stead.Process{Type: "web", IdleAfter: 60, Asleep: asleep}}
	}
	all := []platform.Idler{idler("quiet", false), idler("busy", false), idler("streaming", false), idler("asleep", true), idler("unrouted", false)}
	seen := map[stead.ID]route.Activity{
		"quiet": {}, "busy": {Last: start.Add(50 * time.Second)}, "streaming": {Last: start, Inflight: 1}, "asleep": {},
	}
	began := map[stead.ID]time.Time{}
	for _, c := range []struct {
		after time.Duration
		want  []stead.ID
	}{
		{0, nil}, {59 * time.Second, nil}, {time.Minute, []stead.ID{"quiet"}}, {109 * time.Second, []stead.ID{"quiet"}},
		{110 * time.Second, []stead.ID{"quiet", "busy"}},
	} {
		if got := tired(all, seen, began, start.Add(c.after)); !slices.Equal(got, c.want) {
			t.Errorf("after %s: %v, want %v", c.after, got, c.want)
		}
	}
	all[0].Process.Asleep = true
	tired(all, seen, began, start.Add(2*time.Minute))
	all[0].Process.Asleep = false // woken: its time begins anew
	if got := tired(all, seen, began, start.Add(2*time.Minute)); slices.Contains(got, "quiet") {
		t.Error("an app that has just woken is stopped")
	}
}
