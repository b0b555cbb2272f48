package enginetest

import (
	"testing"
	"time"

	"github.com/steadpaas/stead/internal/engine"
)

// Run checks that the engine of the harness keeps the contract. Each part has
// an engine of its own and is a subtest, so that -run can choose.
func Run(t *testing.T, h Harness) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			if p.real && !h.Real {
				t.Skip("needs real processes")
			}
			if p.reopen && h.Reopen == nil {
				t.Skip("this engine keeps nothing across a restart")
			}
			p.run(setup(t, h))
		})
	}
}

var parts = []struct {
	name         string
	real, reopen bool
	run          func(*fixture)
}{
	{name: "Serve", run: testServe},
	{name: "ApplyTwice", run: testApplyTwice},
	{name: "BadWorkload", run: testBadWorkload},
	{name: "Scale", run: testScale},
	{name: "FirstIndex", run: testFirstIndex},
	{name: "Addresses", run: testAddresses},
	{name: "DeleteTwice", run: testDeleteTwice},
	{name: "GoneOnce", run: testGoneOnce},
	{name: "WatchTwice", run: testWatchTwice},
	{name: "ContextEnds", run: testContextEnds},
	{name: "CrashBackoff", run: testCrashBackoff},
	{name: "BootLimit", run: testBootLimit},
	{name: "Memory", run: testMemory},
	{name: "Task", run: testTask},
	{name: "TaskFails", run: testTaskFails},
	{name: "Logs", run: testLogs},
	{name: "HoldExec", run: testHoldExec},
	{name: "ExecExitCode", run: testExecExitCode},
	{name: "ExecCancel", run: testExecCancel},
	{name: "ExecUnknown", run: testExecUnknown},
	{name: "BadImage", real: true, run: testBadImage},
	{name: "ImageCommand", real: true, run: testImageCommand},
	{name: "BindLate", real: true, run: testBindLate},
	{name: "Health", real: true, run: testHealth},
	{name: "StopPolitely", real: true, run: testStopPolitely},
	{name: "StopGrace", real: true, run: testStopGrace},
	{name: "ForkBomb", real: true, run: testForkBomb},
	{name: "TTY", real: true, run: testTTY},
	{name: "Reopen", reopen: true, run: testReopen},
}

func testServe(f *fixture) {
	w := f.workload("serve", "web")
	f.apply(w)
	s := f.up(w, 1)[0]
	if s.Name != "web.1" || s.Restarts != 0 || !s.Address.IsValid() || s.Cause != engine.CauseNone || s.Since.IsZero() {
		f.t.Errorf("status of an instance that is up: %+v", s)
	}
	if body, err := f.get(s.Address, "/env?key=GREETING"); err != nil || body != "hi" {
		f.t.Errorf("/env answered %q, %v", body, err)
	}
	if len(s.Stages) == 0 {
		f.t.Error("the stages of the start are not told")
	}
}

func testApplyTwice(f *fixture) {
	w := f.workload("twice", "web")
	w.Replicas = 2
	f.apply(w)
	before := f.up(w, 2)
	changed := w
	changed.Command = nil // nothing but Replicas counts
	f.apply(changed)
	w.Replicas = 3
	f.apply(w)
	for i, s := range f.up(w, 3)[:2] {
		if s.Instance != before[i].Instance || s.Restarts != 0 {
			f.t.Errorf("%s was replaced: %s, then %s", s.Name, before[i].Instance, s.Instance)
		}
	}
}

func testBadWorkload(f *fixture) {
	for _, id := range []string{"", "../x", "a b", "a/b", "-\x00", string(make([]byte, 121))} {
		w := f.workload("bad", "web")
		if w.ID = id; f.e.Apply(f.t.Context(), w) == nil {
			f.t.Errorf("workload id %q was taken", id)
		}
	}
}

func testScale(f *fixture) {
	w := f.workload("scale", "web")
	w.Replicas = 4
	f.apply(w)
	before := f.up(w, 4)
	w.Replicas = 2
	f.apply(w)
	for i, s := range f.up(w, 2) {
		if s.Instance != before[i].Instance {
			f.t.Errorf("instance %d is %s (%s), want %s: the highest index goes first", i, s.Name, s.Instance, before[i].Instance)
		}
	}
	w.Replicas = 0
	f.apply(w)
	f.gone(w)
	w.Replicas = 1
	f.apply(w)
	if s := f.up(w, 1)[0]; s.Name != "web.1" {
		f.t.Errorf("after scaling from 0: %s", s.Name)
	}
}

func testFirstIndex(f *fixture) {
	w := f.workload("first", "web")
	w.FirstIndex, w.Replicas, w.Process = 5, 2, "api"
	f.apply(w)
	if all := f.up(w, 2); all[0].Name != "api.5" || all[1].Name != "api.6" {
		f.t.Errorf("names %s and %s, want api.5 and api.6", all[0].Name, all[1].Name)
	}
}

// An address belongs to one living instance at a time.
func testAddresses(f *fixture) {
	a, b := f.workload("a", "web"), f.workload("b", "web")
	a.Replicas, b.Replicas = 3, 3
	f.apply(a)
	f.up(a, 3)
	a.Replicas = 1
	f.apply(a)
	f.apply(b)
	f.up(b, 3)
	f.up(a, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	owner := map[string]string{}
	for _, s := range f.history {
		at := s.Address.String()
		switch {
		case s.State == engine.StateGone:
			for k, o := range owner {
				if o == s.Instance {
					delete(owner, k)
				}
			}
		case s.Address.IsValid() && owner[at] != "" && owner[at] != s.Instance:
			f.t.Errorf("%s was given to %s while %s had it", at, s.Instance, owner[at])
		case s.Address.IsValid():
			owner[at] = s.Instance
		}
	}
}

func testDeleteTwice(f *fixture) {
	w := f.workload("delete", "web")
	f.delete(w) // unknown
	f.apply(w)
	s := f.up(w, 1)[0]
	f.delete(w)
	f.delete(w)
	f.gone(w)
	if _, err := f.get(s.Address, "/"); err == nil {
		f.t.Error("a gone instance answers")
	}
	f.apply(f.workload("starting", "never-bind"))
	f.delete(f.workload("starting"))
	f.gone(f.workload("starting"))
}

func testGoneOnce(f *fixture) {
	w := f.workload("gone", "web")
	w.Replicas = 2
	f.apply(w)
	f.up(w, 2)
	f.delete(w)
	f.gone(w)
	after := f.workload("after", "web")
	f.apply(after)
	f.up(after, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := map[string]int{}
	for _, s := range f.history {
		if s.State == engine.StateGone {
			gone[s.Instance]++
		} else if gone[s.Instance] > 0 {
			f.t.Errorf("%s was %s after it was gone", s.Instance, s.State)
		}
	}
	for id, n := range gone {
		if n != 1 {
			f.t.Errorf("%s was told gone %d times", id, n)
		}
	}
	if len(gone) != 2 {
		f.t.Errorf("%d instances gone, want 2", len(gone))
	}
}

func testWatchTwice(f *fixture) {
	w := f.workload("watched", "web")
	f.apply(w)
	f.up(w, 1)
	late := &fixture{t: f.t, h: f.h, e: f.e, lines: f.lines, prefix: f.prefix}
	late.watch(f.t.Context())
	late.mu.Lock()
	for i, s := range late.history {
		if s.Synced && i == 0 {
			f.t.Error("the snapshot left out an instance")
		}
	}
	late.mu.Unlock()
	w.Replicas = 2
	f.apply(w)
	f.up(w, 2)
	late.up(w, 2)
	f.delete(w)
	f.gone(w)
	late.gone(w)
}

func testCrashBackoff(f *fixture) {
	w := f.workload("crash", "exit", "3")
	w.Process, w.Port = "worker", 0
	f.apply(w)
	s := f.first(w, "a crash", func(s engine.Status) bool { return s.State == engine.StateCrashed })
	if s.Cause != engine.CauseExit || s.ExitCode == nil || *s.ExitCode != 3 || s.Reason == "" {
		f.t.Errorf("status of a crash: %+v", s)
	}
	start := s.Since
	s = f.first(w, "a third restart", func(s engine.Status) bool { return s.Restarts >= 3 })
	if total := s.Since.Sub(start); total <= 0 || f.h.Real && total < time.Second {
		f.t.Errorf("three restarts within %s: no back-off", total)
	}
	f.delete(w)
	f.gone(w)
}

func testBootLimit(f *fixture) {
	w := f.workload("boot", "never-bind")
	w.Health.BootLimit = 1
	f.apply(w)
	s := f.first(w, "the boot limit", func(s engine.Status) bool { return s.State == engine.StateCrashed })
	if s.Cause != engine.CauseBoot || s.Reason == "" {
		f.t.Errorf("status of an instance that did not bind: %+v", s)
	}
}

func testMemory(f *fixture) {
	w := f.task("memory", "allocate")
	w.Size.Memory = 64 << 20
	f.apply(w)
	s := f.first(w, "the end", func(s engine.Status) bool { return s.State == engine.StateExited })
	if s.Cause != engine.CauseMemory {
		f.t.Errorf("status of an instance without memory: %+v", s)
	}
}
