package platform

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

func TestDrains(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	const whole = "https://me:hunter2@logs.example.com/in"
	d, err := w.AddDrain(w.admin, "hello", stead.NewDrain{URL: whole})
	check(t, err)
	_, err = w.AddDrain(w.admin, "hello", stead.NewDrain{URL: whole})
	wantKind(t, "the same again", err, stead.KindConflict)
	for _, bad := range []string{"ftp://x.example.com", "https://", "logs.example.com:514", "https://x.example.com/#a", "://"} {
		_, err = w.AddDrain(w.admin, "hello", stead.NewDrain{URL: bad})
		wantKind(t, bad, err, stead.KindInvalid)
	}
	open, err := w.OpenDrains(w.system)
	check(t, err)
	if len(open) != 1 || open[0].To.String() != whole || open[0].After != -1 {
		t.Fatalf("for the loop: %+v", open)
	}
	check(t, w.ReportDrain(w.system, d.ID, logs.DrainReport{After: 7, Delivered: 5, Err: errors.New("no answer in time")}))
	check(t, w.ReportDrain(w.system, d.ID, logs.DrainReport{After: 7, Err: errors.New("no answer in time")}))
	check(t, w.ReportDrain(w.system, d.ID, logs.DrainReport{After: 9, Delivered: 1, Dropped: 1}))
	shown, err := w.Drains(w.admin, "hello")
	check(t, err)
	if len(shown) != 1 || shown[0].Delivered != 6 || shown[0].Dropped != 1 || shown[0].Error != "" {
		t.Errorf("shown: %+v", shown)
	}
	if got := strings.Join(w.verbs("drain."), " "); got != "drain.add drain.fail drain.recover" {
		t.Errorf("events: %s", got)
	}
	all, err := w.Events(w.admin, EventQuery{})
	check(t, err)
	for e := range all {
		text, _ := json.Marshal(e)
		if strings.Contains(string(text), "hunter2") {
			t.Errorf("an event holds the password: %s", text)
		}
	}
	if text, _ := json.Marshal(shown); strings.Contains(string(text), "hunter2") {
		t.Errorf("the list holds the password: %s", text)
	}
	check(t, w.RemoveDrain(w.admin, "hello", whole))
	wantKind(t, "removed twice", w.RemoveDrain(w.admin, "hello", string(d.ID)), stead.KindNotFound)
	check(t, w.ReportDrain(w.system, d.ID, logs.DrainReport{After: 10}))
}
