package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cost is what a process takes while nothing happens.
type cost struct {
	mib float64 // proportional set size
	cpu float64 // seconds a minute
}

// budgets are the most that each process may take, with no app and with ten
// idle ones; docs/performance.md has them too. They leave room for a busy
// machine, and none for a poll loop or a leak.
var budgets = map[string][2]cost{
	"supervisor": {{24, 0.2}, {24, 0.2}},
	"serve":      {{80, 1.2}, {110, 2.4}},
	"router":     {{30, 0.4}, {36, 0.6}},
	"containerd": {{48, 0.6}, {64, 1.5}},
	"buildkitd":  {{90, 0.6}, {90, 0.6}},
	"shims":      {{14, 0.1}, {90, 1.5}}, // those that wait, and one an app
}

// TestIdleCost measures what the platform takes while nothing happens, and
// holds it to its budget. STEAD_TEST_IDLE is how many seconds it looks; it is a
// benchmark that can fail, and part of make bench.
func TestIdleCost(t *testing.T) {
	seconds := rounds("STEAD_TEST_IDLE", 0)
	if seconds == 0 {
		t.Skip("STEAD_TEST_IDLE is not set")
	}
	needRealEngine(t)
	p := start(t, "containerd")
	t.Run("no app", func(t *testing.T) { p.idle(t, 0, seconds) })
	dir := tree(t, p, "idle-1")
	p.must(t, dir, "create", "idle-1", "--no-remote")
	p.must(t, dir, "push", "-a", "idle-1")
	for n := 2; n <= 10; n++ {
		app := fmt.Sprintf("idle-%d", n)
		p.must(t, dir, "create", app, "--no-remote")
		p.must(t, dir, "push", "-a", app)
	}
	t.Run("ten apps", func(t *testing.T) { p.idle(t, 1, seconds) })
}

// idle compares the processes with one column of the budgets.
func (p *platform) idle(t *testing.T, column, seconds int) {
	time.Sleep(5 * time.Second) // what was asked for last has an end; there is no event of "nothing"
	before := p.costs(t)
	time.Sleep(time.Duration(seconds) * time.Second)
	for name, after := range p.costs(t) {
		budget := budgets[name][column]
		used := cost{after.mib, (after.cpu - before[name].cpu) * 60 / float64(seconds)}
		t.Logf("%-11s %6.1f MiB of %3.0f  %5.2f CPU s/min of %.1f", name, used.mib, budget.mib, used.cpu, budget.cpu)
		if used.mib > budget.mib || used.cpu > budget.cpu {
			t.Errorf("%s is over its budget", name)
		}
	}
}

// costs are the memory and the CPU seconds so far of each process.
func (p *platform) costs(t *testing.T) map[string]cost {
	t.Helper()
	out := map[string]cost{}
	for name := range budgets {
		if name != "shims" {
			out[name] = costOf(t, p.pid(t, name))
		}
	}
	var all cost
	for pid := range processesOf("containerd-shim-runc-v2", "stead-"+network(p)) {
		c := costOf(t, pid)
		all.mib, all.cpu = all.mib+c.mib, all.cpu+c.cpu
	}
	out["shims"] = all
	return out
}

func costOf(t *testing.T, pid int) cost {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		t.Fatal(err)
	}
	var c cost
	for line := range strings.Lines(string(rollup)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, _ := strconv.ParseFloat(f[1], 64)
			c.mib = kib / 1024
		}
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	c.cpu = (user + system) / 100 // USER_HZ
	return c
}
