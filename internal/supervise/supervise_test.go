package supervise

import (
	"context"
	"log/slog"
	"os"
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
