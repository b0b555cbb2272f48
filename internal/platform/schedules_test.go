package platform

import (
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

func TestNextRun(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		check(t, err)
		return v
	}
	for _, c := range []struct{ cron, zone, now, want string }{
		{"*/10 * * * *", "UTC", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z"},
		{"0 4 * * mon", "Europe/Berlin", "2026-03-01T10:05:00Z", "2026-03-02T03:00:00Z"},
		{"0 4 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"}, // the night that lacks an hour
		{"@daily", "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
	} {
		got, err := nextRun(c.cron, c.zone, at(c.now))
		check(t, err)
		if !got.Equal(at(c.want)) {
			t.Errorf("%s in %s after %s: %s, want %s", c.cron, c.zone, c.now, got, c.want)
		}
	}
	for _, bad := range [][2]string{{"", "UTC"}, {"* * * *", "UTC"}, {"* * * * * *", "UTC"}, {"61 * * * *", "UTC"}, {"@every 1s", "UTC"}, {"@reboot", "UTC"},
		{"CRON_TZ=UTC * * * * *", "UTC"}, {"0 0 31 2 *", "UTC"}, {"@daily", "Moon/Base"}, {"@daily", "Local"}, {"@daily", "../etc/passwd"}} {
		_, err := nextRun(bad[0], bad[1], at("2026-03-01T10:05:00Z"))
		wantKind(t, strings.Join(bad[:], " in "), err, stead.KindInvalid)
	}
}

func TestSchedule(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	s, err := w.AddSchedule(w.admin, "hello", stead.NewSchedule{Cron: "*/10 * * * *", Command: stead.Command{"./nightly"}})
	check(t, err)
	due := func() stead.Schedule {
		t.Helper()
		w.advance(10 * time.Minute)
		next, err := w.RunDue(w.system)
		check(t, err)
		all, err := w.Schedules(w.admin, "hello")
		check(t, err)
		if next == nil || all[0].NextAt == nil || !next.Equal(*all[0].NextAt) || !next.After(w.now()) {
			t.Fatalf("next %v, of %+v", next, all[0])
		}
		return all[0]
	}
	if got := due(); !strings.Contains(got.Reason, "no release") || got.LastTask != "" {
		t.Errorf("before a release: %+v", got)
	}
	w.live("hello", "web")
	got := due()
	if got.LastTask != "run.1" || got.Reason != "" {
		t.Errorf("first run: %+v", got)
	}
	if again := due(); again.LastTask != "run.1" || !strings.Contains(again.Reason, "still runs") {
		t.Errorf("while it runs: %+v", again)
	}
	task, err := w.Task(w.admin, "hello", "run.1")
	check(t, err)
	check(t, w.StartTask(w.system, task.ID))
	check(t, w.FinishTask(w.system, task.ID, ptr(0), ""))
	w.advance(5 * time.Hour) // the platform was away: made up for once
	if got := due(); got.LastTask != "run.2" {
		t.Errorf("after an absence: %+v", got)
	}
	s, err = w.UpdateSchedule(w.admin, "hello", s.ID, stead.SchedulePatch{Paused: ptr(true)})
	check(t, err)
	w.advance(time.Hour)
	next, err := w.RunDue(w.system)
	check(t, err)
	if next != nil || s.NextAt != nil {
		t.Errorf("paused: next %v, %+v", next, s)
	}
	check(t, w.RemoveSchedule(w.admin, "hello", s.ID))
	wantKind(t, "removed twice", w.RemoveSchedule(w.admin, "hello", s.ID), stead.KindNotFound)
	if got := strings.Join(w.verbs("schedule."), " "); got != "schedule.add schedule.skip schedule.skip schedule.update schedule.remove" {
		t.Errorf("events: %s", got)
	}
}
