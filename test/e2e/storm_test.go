package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// rounds is how often a test does its thing: $name, or otherwise.
func rounds(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// TestKillStorm kills the control plane, and on the real engine every other
// process of the platform too, at random moments of pushes. Then every
// accepted push has come to an end, the releases are those that the events tell
// of, the newest live one serves, and nothing is left of what was cut short.
func TestKillStorm(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		killStorm(t, start(t, "fake"), rounds("STEAD_TEST_KILLS", 10), "serve", "supervisor")
	})
	t.Run("containerd", func(t *testing.T) {
		needRealEngine(t)
		p := start(t, "containerd")
		killStorm(t, p, rounds("STEAD_TEST_KILLS", 8), "serve", "supervisor", "serve", "containerd", "serve", "buildkitd", "serve", "router")
		p.kill(t, "serve") // a new one sweeps at once what the old one would have later
		p.answers(t)
		until(t, time.Minute, "nothing is left of what was cut short", func() bool {
			left := p.remains(t, 1)
			t.Log(left)
			return left == ""
		})
	})
}

func killStorm(t *testing.T, p *platform, times int, victims ...string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := tree(t, p, "storm")
	p.must(t, dir, "create", "storm", "--no-remote")
	p.must(t, dir, "push", "-a", "storm")
	for n := range times {
		write(t, dir, "note", fmt.Sprint(n))
		// The push may fail: it is told so, or its connection ends with the platform.
		pushed := make(chan struct{})
		go func() { defer close(pushed); _, _ = p.stead(t, dir, "push", "-a", "storm") }()
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
		if victim := victims[n%len(victims)]; victim == "supervisor" {
			// The control plane too; its supervisor waits longer after each death, and a new one does not.
			signal(t, p.pid(t, "supervisor"))
			signal(t, p.pid(t, "serve"))
			p.steadd(t, "start")
		} else {
			p.kill(t, victim)
		}
		p.answers(t)
		<-pushed
	}
	settled(t, p, dir)
	agrees(t, p, dir)
}

// settled waits until nothing is under way, and requires that the app serves.
func settled(t *testing.T, p *platform, dir string) {
	t.Helper()
	var builds []stead.Build
	var releases []stead.Release
	until(t, 3*time.Minute, "every build and release has ended", func() bool {
		if p.data(t, dir, &builds, "builds", "-a", "storm", "-n", "200") != nil || p.data(t, dir, &releases, "releases", "-a", "storm", "-n", "200") != nil {
			return false
		}
		for _, b := range builds {
			if b.FinishedAt == nil {
				return false
			}
		}
		for _, r := range releases {
			if s := r.State; s == stead.ReleasePending || s == stead.ReleaseReleasing || s == stead.ReleaseRolling {
				return false
			}
		}
		return true
	})
	until(t, time.Minute, "the app serves", func() bool {
		resp, err := p.request(t.Context(), "storm."+p.domain, "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// agrees compares the state with the events.
func agrees(t *testing.T, p *platform, dir string) {
	t.Helper()
	p.must(t, dir, "push", "-a", "storm") // and a push still works
	var builds []stead.Build
	if err := p.data(t, dir, &builds, "builds", "-a", "storm", "-n", "200"); err != nil {
		t.Fatal(err)
	}
	made, ended := map[int]int{}, map[int]stead.BuildState{}
	verbs := map[string]int{}
	for _, e := range p.events(t, dir, "storm") {
		verbs[e.Verb]++
		n, _ := e.Data["build"].(float64)
		switch e.Verb {
		case "build.create":
			made[int(n)]++
		case "build.finish":
			state, _ := e.Data["state"].(string)
			ended[int(n)] = stead.BuildState(state)
		}
	}
	t.Logf("%d builds; events: %v", len(builds), verbs)
	for _, b := range builds {
		if made[b.Number] != 1 || ended[b.Number] != b.State {
			t.Errorf("build %d is %s; the events say: created %d times, ended %q", b.Number, b.State, made[b.Number], ended[b.Number])
		}
		if (b.State == stead.BuildSucceeded) != (b.Release > 0) {
			t.Errorf("build %d is %s and has release %d", b.Number, b.State, b.Release)
		}
	}
	if len(made) != len(builds) {
		t.Errorf("%d builds, and events of %d", len(builds), len(made))
	}
	until(t, time.Minute, "one instance is left", func() bool {
		var ps struct{ Instances []stead.Instance }
		return p.data(t, dir, &ps, "ps", "-a", "storm") == nil && len(ps.Instances) == 1
	})
}

// events are all of an app, a JSON document a line.
func (p *platform) events(t *testing.T, dir, app string) []stead.Event {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "stead"), "events", "-a", app, "-n", "1000", "-o", "json")
	cmd.Dir, cmd.Env = dir, p.userEnv()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("stead events: %v", err)
	}
	var events []stead.Event
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e stead.Event
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}
