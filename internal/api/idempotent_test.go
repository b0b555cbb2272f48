package api

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

func TestReplays(t *testing.T) {
	r := newReplays(2, time.Minute)
	now := time.Now()
	k, b := replayKey{1}, replayKey{9}
	finish := func(key replayKey, status int) {
		a := &keeper{recorder: recorder{ResponseWriter: httptest.NewRecorder()}}
		a.WriteHeader(status)
		_, _ = a.Write([]byte("answer"))
		r.end(key, a)
	}
	first, err := r.begin(k, b, now)
	if first != nil || err != nil {
		t.Fatal(first, err)
	}
	if _, err := r.begin(k, b, now); stead.KindOf(err) != stead.KindConflict {
		t.Errorf("while running: %v", err)
	}
	finish(k, 201)
	if old, err := r.begin(k, b, now); err != nil || old == nil || old.status != 201 || string(old.data) != "answer" {
		t.Errorf("again: %+v %v", old, err)
	}
	if _, err := r.begin(k, replayKey{8}, now); stead.KindOf(err) != stead.KindInvalid {
		t.Errorf("other body: %v", err)
	}
	if old, err := r.begin(k, b, now.Add(2*time.Minute)); old != nil || err != nil {
		t.Errorf("too old: %+v %v", old, err)
	}
	finish(k, 503)
	if old, err := r.begin(k, b, now); old != nil || err != nil {
		t.Errorf("a failure is tried again: %+v %v", old, err)
	}
	for i := range 5 {
		_, _ = r.begin(replayKey{2, byte(i)}, b, now)
	}
	if len(r.byKey) != 2 || r.order.Len() != 2 {
		t.Errorf("%d kept", len(r.byKey))
	}
}
