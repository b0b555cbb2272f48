package platform

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// TestReleaseStates lets people and loops act on one app in any order, and
// checks after each step what must always hold.
func TestReleaseStates(t *testing.T) {
	w := newWorld(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		name := fmt.Sprintf("app-%d", n)
		a := w.app(name)
		done := map[int]stead.ReleaseState{}
		pick := func(r *rapid.T) (stead.Release, bool) {
			all, err := w.Releases(w.admin, name)
			check(t, err)
			if len(all) == 0 {
				return stead.Release{}, false
			}
			return rapid.SampledFrom(all).Draw(r, "release"), true
		}
		tolerate := func(err error) {
			if err != nil && stead.KindOf(err) != stead.KindConflict && stead.KindOf(err) != stead.KindPrecondition {
				r.Fatalf("unexpected error: %v", err)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"deploy": func(r *rapid.T) { w.deploy(name, rapid.StringN(1, 3, 3).Draw(r, "image"), "web") },
			"config": func(r *rapid.T) {
				_, _, err := w.SetConfig(w.admin, name, map[string]*string{"A": ptr(rapid.StringMatching(`[a-z]`).Draw(r, "value"))})
				tolerate(err)
			},
			"rollback": func(r *rapid.T) {
				_, err := w.Rollback(w.admin, name, 0)
				tolerate(err)
			},
			"restart": func(*rapid.T) { tolerate(w.Restart(w.admin, name, "")) },
			"mark": func(r *rapid.T) {
				if v, ok := pick(r); ok {
					tolerate(w.MarkRelease(w.system, v.ID, rapid.SampledFrom([]stead.ReleaseState{stead.ReleaseReleasing, stead.ReleaseRolling}).Draw(r, "state")))
				}
			},
			"live": func(r *rapid.T) {
				if v, ok := pick(r); ok {
					tolerate(w.ReleaseLive(w.system, v.ID))
				}
			},
			"fail": func(r *rapid.T) {
				if v, ok := pick(r); ok {
					tolerate(w.ReleaseFailed(w.system, v.ID, "because"))
				}
			},
			"converge": func(*rapid.T) {
				if in := w.intent(a.ID); in.Target != nil {
					check(t, w.MarkRelease(w.system, in.Target.ID, stead.ReleaseRolling))
					check(t, w.ReleaseLive(w.system, in.Target.ID))
				}
			},
			"": func(r *rapid.T) { w.invariants(r, a, done) },
		})
	})
}

func (w *world) invariants(r *rapid.T, a stead.App, done map[int]stead.ReleaseState) {
	all, err := w.Releases(w.admin, string(a.ID))
	check(w.t, err)
	live, started, pending := 0, 0, 0
	for i, v := range all {
		if v.Version != len(all)-i {
			r.Fatalf("versions have a gap: %d at %d of %d", v.Version, i, len(all))
		}
		switch v.State {
		case stead.ReleaseLive:
			live++
		case stead.ReleaseReleasing, stead.ReleaseRolling:
			started++
		case stead.ReleasePending:
			pending++
		}
		if was := done[v.Version]; was != "" && was != v.State && !(was == stead.ReleaseLive && v.State == stead.ReleaseSuperseded) {
			r.Fatalf("v%d went from %s to %s", v.Version, was, v.State)
		}
		if v.State.Done() {
			done[v.Version] = v.State
		}
	}
	if live > 1 || started > 1 || pending > 1 {
		r.Fatalf("%d live, %d started, %d pending", live, started, pending)
	}
	in := w.intent(a.ID)
	app, err := w.App(w.admin, string(a.ID))
	check(w.t, err)
	if (in.Live != nil) != (live == 1) || in.Live != nil && app.Release != in.Live.Version {
		r.Fatalf("live of the intent: %+v, app says v%d, %d are live", in.Live, app.Release, live)
	}
	if started+pending > 0 && in.Target == nil {
		r.Fatal("an open release and no target: it would be stuck")
	}
}

// TestBuildStates lets two platforms fight for builds.
func TestBuildStates(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	holders := map[stead.ID]string{}
	rapid.Check(t, func(r *rapid.T) {
		ended := map[int]stead.BuildState{}
		who := rapid.SampledFrom([]string{"a", "b"})
		pick := func(r *rapid.T) (stead.Build, bool) {
			all, err := w.Builds(w.admin, "hello")
			check(t, err)
			if len(all) == 0 {
				return stead.Build{}, false
			}
			return rapid.SampledFrom(all[:min(4, len(all))]).Draw(r, "build"), true
		}
		r.Repeat(map[string]func(*rapid.T){
			"push": func(r *rapid.T) {
				src, err := w.UploadSource(w.admin, "hello", strings.NewReader("x"))
				check(t, err)
				_, err = w.Push(w.admin, "hello", src)
				if err != nil && stead.KindOf(err) != stead.KindLimit {
					r.Fatal(err)
				}
			},
			"claim": func(r *rapid.T) {
				h := who.Draw(r, "holder")
				job, err := w.ClaimBuild(w.system, h, time.Minute)
				check(t, err)
				if job != nil {
					holders[job.Build.ID] = h
				}
			},
			"keep": func(r *rapid.T) {
				if b, ok := pick(r); ok {
					h := who.Draw(r, "holder")
					err := w.KeepBuild(w.system, b.ID, h, time.Minute)
					if (err == nil) != (b.State == stead.BuildRunning && holders[b.ID] == h) {
						r.Fatalf("keep of a %s build by %s: %v", b.State, h, err)
					}
				}
			},
			"finish": func(r *rapid.T) {
				if b, ok := pick(r); ok {
					h := who.Draw(r, "holder")
					var failure error
					if rapid.Bool().Draw(r, "fails") {
						failure = errors.New("boom")
					}
					got, err := w.FinishBuild(w.system, b.ID, h, BuildOutcome{Image: image("x", "web")}, failure)
					if err != nil && stead.KindOf(err) != stead.KindConflict {
						r.Fatal(err)
					}
					if err == nil && !got.State.Done() {
						r.Fatalf("finished build is %s", got.State)
					}
				}
			},
			"cancel": func(r *rapid.T) {
				if b, ok := pick(r); ok {
					_, err := w.CancelBuild(w.admin, "hello", b.Number)
					if (err == nil) == b.State.Done() {
						r.Fatalf("cancel of a %s build: %v", b.State, err)
					}
				}
			},
			"wait": func(*rapid.T) { w.advance(2 * time.Minute) },
			"": func(r *rapid.T) {
				all, err := w.Builds(w.admin, "hello")
				check(t, err)
				running := 0
				for _, b := range all {
					if b.State == stead.BuildRunning {
						running++
					}
					if was := ended[b.Number]; was != "" && was != b.State {
						r.Fatalf("build %d went from %s to %s", b.Number, was, b.State)
					}
					if b.State.Done() {
						ended[b.Number] = b.State
					}
					if (b.State == stead.BuildSucceeded) != (b.Release > 0) {
						r.Fatalf("build %d is %s with release %d", b.Number, b.State, b.Release)
					}
				}
				if running > 1 {
					r.Fatalf("%d builds of one app run at once", running)
				}
			},
		})
	})
}

// TestRotateKeys also stops half-way, as a crash would, and goes on.
func TestRotateKeys(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		name := fmt.Sprintf("app-%d", i)
		w.app(name)
		_, _, err := w.SetConfig(w.admin, name, map[string]*string{"SECRET": ptr("value of " + name)})
		check(t, err)
		w.live(name, "web")
		_, err = w.Run(w.admin, name, NewTask{Command: stead.Command{"true"}, Env: stead.Config{"X": "y"}})
		check(t, err)
	}
	n, err := w.RotateKeys(w.admin)
	check(t, err)
	if n != 9 {
		t.Errorf("sealed %d values again, want 9", n)
	}
	check(t, w.keys.Rotate()) // crash: a new key, and only some values under it
	check(t, w.change(w.admin, func(k *work) error {
		page, err := k.SealedAfter(store.Sealed{}, 4)
		check(t, err)
		_, err = k.reseal(page)
		return err
	}))
	file := w.keyFile()
	n, err = w.RotateKeys(w.admin)
	check(t, err)
	if n != 5 || w.keyFile() != file {
		t.Errorf("resumed with %d values, want 5 and no further key", n)
	}
	for i := range 3 {
		name := fmt.Sprintf("app-%d", i)
		c, err := w.Config(w.admin, name)
		check(t, err)
		if d := cmp.Diff(stead.Config{"SECRET": "value of " + name}, c); d != "" {
			t.Error(d)
		}
	}
	jobs, err := w.OpenTasks(w.system)
	check(t, err)
	if len(jobs) != 3 || jobs[0].Task.Env["X"] != "y" || jobs[0].Release.Config["SECRET"] == "" {
		t.Errorf("tasks: %+v", jobs)
	}
}

// TestNoSecretAtRest looks for plain values in the database's files.
func TestNoSecretAtRest(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	_, _, err := w.SetConfig(w.admin, "hello", map[string]*string{"SECRET": ptr("hunter2-hunter2")})
	check(t, err)
	w.live("hello", "web")
	_, err = w.Run(w.admin, "hello", NewTask{Command: stead.Command{"true"}, Env: stead.Config{"X": "hunter2-hunter2"}})
	check(t, err)
	files, err := filepath.Glob(filepath.Join(w.dir, "stead.db*"))
	check(t, err)
	if len(files) == 0 {
		t.Skip("the database is not a file of ours")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		check(t, err)
		for _, secret := range []string{"hunter2", password, w.secret} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds a secret in plain", filepath.Base(f))
			}
		}
	}
}

// TestSealedConfigIsBound moves a sealed config to another app.
func TestSealedConfigIsBound(t *testing.T) {
	w := newWorld(t)
	a, b := w.app("a"), w.app("b")
	sealed, err := w.seal(a.ID, stead.Config{"A": "1"})
	check(t, err)
	if _, err := w.unseal(b.ID, sealed); err == nil {
		t.Error("another app's config opened")
	}
}

func (w *world) keyFile() string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "master.keys"))
	check(w.t, err)
	return string(b)
}
