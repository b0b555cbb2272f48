package supervise

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func TestRunAdoptsRestartsAndLeavesRunning(t *testing.T) {
	dir := t.TempDir()
	s := Spec{Name: "sleeper", Path: "/bin/sleep", Args: []string{"600"}, StateDir: dir}
	t.Cleanup(func() { _ = Stop(context.Background(), dir, s.Name, time.Second) })
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, s, slog.New(slog.DiscardHandler)) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	running := func() bool { _, ok := Running(dir, s.Name); return ok }

	stop := run()
	await(t, "it runs", running)
	first, _ := Running(dir, s.Name)
	stop()
	if !running() {
		t.Fatal("the daemon did not outlive its supervisor")
	}

	stop = run()
	defer func() { stop() }()
	if pid, _ := Running(dir, s.Name); pid != first {
		t.Fatalf("pid %d, want the adopted %d", pid, first)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "it is started again", func() bool {
		pid, ok := Running(dir, s.Name)
		return ok && pid != first
	})
}

func TestRunningIgnoresAReusedPid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(pidPath(dir, "x"), []byte("1 12345678901\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := Running(dir, "x"); ok {
		t.Fatal("a foreign process was taken for the daemon")
	}
}

func TestStopKillsWhatIgnoresSIGTERM(t *testing.T) {
	dir := t.TempDir()
	s := Spec{Name: "deaf", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"}, StateDir: dir}
	p, err := start(s)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the trap is set", func() bool { b, _ := os.ReadFile(logPath(dir, s.Name)); return len(b) > 0 })
	go func() { _, _ = p.Wait() }()
	if err := Stop(t.Context(), dir, s.Name, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, ok := Running(dir, s.Name); ok {
		t.Fatal("still running")
	}
}

// A daemon whose program was replaced is upgraded; one that takes the work over
// runs beside the former, which Stop ends too.
func TestUpgrade(t *testing.T) {
	for _, takeOver := range []bool{false, true} {
		dir := t.TempDir()
		program := filepath.Join(dir, "sleep")
		install := func() {
			data, err := os.ReadFile("/bin/sleep")
			if err == nil {
				err = os.WriteFile(program+".new", data, 0o755)
			}
			if err == nil {
				err = os.Rename(program+".new", program)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		install()
		s := Spec{Name: "sleeper", Path: program, Args: []string{"600"}, StateDir: dir, Upgrade: UpgradeChanged, TakeOver: takeOver}
		t.Cleanup(func() { _ = Stop(context.Background(), dir, s.Name, time.Second) })
		run := func(s Spec, until func(pid int) bool) (pid int) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- Run(ctx, s, slog.New(slog.DiscardHandler)) }()
			await(t, "the daemon is the wanted one", func() (ok bool) { pid, ok = Running(dir, s.Name); return ok && until(pid) })
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			return pid
		}
		first := run(s, func(int) bool { return true })
		if again := run(s, func(int) bool { return true }); again != first {
			t.Errorf("takeOver=%v: the same program was replaced", takeOver)
		}
		install()
		if !Outdated(first, program) {
			t.Fatal("the replaced program was not seen")
		}
		second := run(s, func(pid int) bool { return pid != first })
		alive := func(pid int) bool { state, _, err := stat(pid); return err == nil && state != "Z" }
		if alive(first) != takeOver {
			t.Errorf("takeOver=%v: the former process is alive: %v", takeOver, alive(first))
		}
		s.Upgrade = UpgradeAlways
		third := run(s, func(pid int) bool { return pid != second })
		if err := Stop(t.Context(), dir, s.Name, time.Second); err != nil {
			t.Fatal(err)
		}
		for _, pid := range []int{first, second, third} {
			if alive(pid) {
				t.Errorf("takeOver=%v: process %d outlived Stop", takeOver, pid)
			}
		}
	}
}
