package containerd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/enginetest"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/supervise"
)

const patience = 40 * time.Second

func testLogs(t testing.TB) *logs.Store {
	t.Helper()
	s, err := logs.Open(t.TempDir(), logs.Limits{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func webWorkload(image, id string, args ...string) engine.Workload {
	return engine.Workload{ID: id, App: stead.NewID(time.Now()), AppName: "test", Process: "web", FirstIndex: 1, Replicas: 1, Image: image,
		Command: append(stead.Command{enginetest.TestApp}, args...), Env: stead.Config{"PORT": "5000"}, Size: stead.Sizes()[0],
		Port: 5000, Health: stead.Health{BootLimit: 20}, StopGrace: 5 * time.Second, LogStream: "app/" + id}
}

func apply(t testing.TB, e engine.Engine, w engine.Workload) {
	t.Helper()
	if err := e.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// await follows the engine until a status of the workload is as wanted.
func await(t testing.TB, e engine.Engine, workload, what string, ok func(engine.Status) bool) engine.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last engine.Status
	for s := range e.Watch(ctx) {
		if s.Workload == workload {
			if last = s; ok(s) {
				return s
			}
		}
	}
	t.Fatalf("%s of %s was not seen; last: %+v", what, workload, last)
	return engine.Status{}
}

func isUp(s engine.Status) bool      { return s.State == engine.StateUp }
func isCrashed(s engine.Status) bool { return s.State == engine.StateCrashed }

func get(s engine.Status, path string) error {
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + s.Address.String() + path)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return err
}

func pidOf(t testing.TB, o *opened, s engine.Status) int {
	t.Helper()
	task, err := o.task(t.Context(), o.instance(s.Instance).container())
	if err != nil {
		t.Fatal(err)
	}
	return int(task.Pid())
}

// Root inside is nobody outside, and may do little.
func TestConfined(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	w := webWorkload(m.image, "confined", "web")
	apply(t, o, w)
	pid := pidOf(t, o, await(t, o, w.ID, "up", isUp))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	base := o.cfg.Network.UIDBase()
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t00000000000005eb", "CapEff:\t00000000000005eb",
		fmt.Sprintf("Uid:\t%d\t%d", base, base)} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in the process's status:\n%s", want, status)
		}
	}
	ids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if got := strings.Fields(string(ids)); len(got) != 3 || got[0] != "0" || got[1] != fmt.Sprint(base) || got[2] != fmt.Sprint(network.UIDCount) {
		t.Errorf("uid_map is %q", ids)
	}
	c := o.cgroup(o.instance(w.ID + ".1").container())
	if limit := max(number(c.file("memory", "memory.limit_in_bytes")), number(c.file("memory", "memory.max"))); limit != w.Size.Memory {
		t.Errorf("memory limit %d, want %d", limit, w.Size.Memory)
	}
	if limit := number(c.file("pids", "pids.max")); limit != w.Size.PIDs {
		t.Errorf("process limit %d, want %d", limit, w.Size.PIDs)
	}
	samples, err := o.Samples(t.Context())
	if err != nil || len(samples) != 1 || samples[0].Memory == 0 || samples[0].CPU == 0 || samples[0].PIDs == 0 {
		t.Errorf("samples %+v, %v", samples, err)
	}
}

// Containerd dies: what runs serves on, and all works again by itself.
func TestDaemonKilled(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	w := webWorkload(m.image, "daemon", "web")
	apply(t, o, w)
	s := await(t, o, w.ID, "up", isUp)
	for range 3 {
		pid, ok := supervise.Running(o.cfg.Dir, "containerd")
		if !ok {
			t.Fatal("containerd is not running")
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := get(s, "/"); err != nil {
			t.Fatalf("the instance does not answer: %v", err)
		}
		w2 := webWorkload(m.image, fmt.Sprintf("during-%d", pid), "web")
		apply(t, o, w2)
		await(t, o, w2.ID, "up", isUp)
	}
	now := await(t, o, w.ID, "up", isUp)
	if now.Restarts != 0 || now.Address != s.Address {
		t.Errorf("the instance was replaced: %+v, was %+v", now, s)
	}
	_ = syscall.Kill(pidOf(t, o, s), syscall.SIGKILL)
	if s = await(t, o, w.ID, "crash", isCrashed); s.ExitCode == nil || *s.ExitCode != 137 {
		t.Errorf("the crash was told as %+v", s)
	}
}

// What ends while neither this process nor containerd looks is told unknown.
func TestEndedUnseen(t *testing.T) {
	m := testMachine(t)
	lines := testLogs(t)
	o := m.fresh(t, lines)
	w := webWorkload(m.image, "unseen", "web")
	apply(t, o, w)
	pid := pidOf(t, o, await(t, o, w.ID, "up", isUp))
	o.end()
	if err := supervise.Stop(t.Context(), o.cfg.Dir, "containerd", time.Second); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for syscall.Kill(pid, 0) == nil {
		pause(t.Context(), 5*time.Millisecond)
	}
	again := m.open(t, o.cfg)
	s := await(t, again, w.ID, "a crash", isCrashed)
	if s.Cause != engine.CauseUnknown && s.Cause != engine.CauseExit {
		t.Errorf("told as %+v", s)
	}
	s = await(t, again, w.ID, "up again", isUp)
	if s.Restarts != 1 {
		t.Errorf("%d restarts, want 1", s.Restarts)
	}
}

func TestWrongPort(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	w := webWorkload(m.image, "wrong", "web")
	w.Env["PORT"], w.Health.BootLimit = "3000", 1
	apply(t, o, w)
	if s := await(t, o, w.ID, "a crash", isCrashed); s.Cause != engine.CauseBoot || !strings.Contains(s.Reason, ":3000") {
		t.Errorf("told as %+v", s)
	}
}

// Output that comes faster than it can be kept is dropped, counted and told,
// and never fills the disk.
func TestSpam(t *testing.T) {
	m := testMachine(t)
	lines := &counting{Store: testLogs(t)}
	o := m.fresh(t, lines)
	w := webWorkload(m.image, "spam", "print", "200000", strings.Repeat("spam ", 500))
	w.Task, w.Port, w.Size = true, 0, stead.Sizes()[3]
	apply(t, o, w)
	done := make(chan struct{})
	var most int64
	go func() {
		defer close(done)
		await(t, o, w.ID, "the end", func(s engine.Status) bool {
			return s.State == engine.StateExited
		})
	}()
	for ended := false; !ended; {
		most = max(most, diskUse(o.cfg.path("output")))
		select {
		case <-done:
			ended = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if most > 250<<20 {
		t.Errorf("output took %d MiB of disk", most>>20)
	}
	t.Logf("most disk %d MiB, %d bytes kept, %d dropped", most>>20, lines.kept, lines.dropped)
	if total := int64(200_000 * len("spam ") * 500); lines.kept+lines.dropped < total {
		t.Errorf("%d bytes are missing, and nothing says so", total-lines.kept-lines.dropped)
	}
	if lines.dropped == 0 {
		t.Error("nothing was dropped")
	}
}

// counting counts what is kept and what is told to be dropped.
type counting struct {
	*logs.Store
	kept, dropped int64
}

func (c *counting) Append(ctx context.Context, stream string, lines ...logs.Line) error {
	for _, l := range lines {
		var n int64
		if l.Source == "app" {
			c.kept += int64(len(l.Text)) + 1
		} else if _, err := fmt.Sscanf(l.Text, "Dropped %d bytes", &n); err == nil {
			c.dropped += n
		}
	}
	return c.Store.Append(ctx, stream, lines...)
}

func diskUse(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if info, err := os.Stat(path); err == nil {
			sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return sum
}

// A start that was cut short leaves nothing.
func TestSweep(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	w := webWorkload(m.image, "keep", "web")
	apply(t, o, w)
	kept := await(t, o, w.ID, "up", isUp)
	img, err := o.image(t.Context(), m.image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.cfg.Network.Attach(t.Context(), endpointMark+"stray-1", network.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.prepare(t.Context(), "stray-1", img); err != nil {
		t.Fatal(err)
	}
	if err := o.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := o.strays(t.Context()); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := get(kept, "/"); err != nil {
		t.Errorf("the sweep hurt an instance: %v", err)
	}
}

// No value of the environment lies on the disk in clear: not in the engine's
// records, nor in what containerd keeps of a container.
func TestEnvIsSealed(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	const value = "correct-horse-battery-staple"
	w := webWorkload(m.image, "sealed", "web")
	w.Env = stead.Config{"PORT": "5000", "SECRET": value}
	apply(t, o, w)
	s := await(t, o, w.ID, "up", isUp)
	holds := func(dir string) {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if data, _ := os.ReadFile(path); bytes.Contains(data, []byte(value)) {
					t.Errorf("%s has the value in clear", path)
				}
			}
			return nil
		})
	}
	holds(o.cfg.Dir)
	holds(filepath.Dir(o.envFile("any")))
	var out, errs bytes.Buffer
	code, err := o.Exec(t.Context(), s.Instance, engine.Command{Args: []string{enginetest.TestApp, "env"}}, engine.Streams{Stdout: &out, Stderr: &errs})
	if err != nil || code != 0 || !strings.Contains(out.String(), "SECRET="+value) {
		t.Errorf("the environment is not there: %d %v %s %s", code, err, &out, &errs)
	}
	records, _, err := o.cfg.load()
	if err != nil || records[w.ID].Workload.Env["SECRET"] != value {
		t.Errorf("the record gives back %v, %v", records[w.ID].Workload.Env, err)
	}
}
