// Package supervise keeps a daemon running that outlives the process that
// started it: it adopts the daemon that an earlier process left behind, starts
// one when there is none, and starts it again, with back-off, when it ends.
package supervise

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Back-off between starts of a daemon that keeps ending.
const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 3 * time.Second
	steady       = 30 * time.Second // a run this long resets the back-off
)

// Spec is a daemon to keep running.
type Spec struct {
	Name     string // names its pid file and log: letters, digits, "-"
	Path     string // the program
	Args     []string
	Env      []string
	StateDir string // holds <name>.pid and <name>.log; must outlive the daemon
	Attr     *syscall.SysProcAttr
	Ready    func(ctx context.Context) error // nil when it can be used; polled after a start

	Upgrade  Upgrade // what Run does with a daemon that runs of another program
	TakeOver bool    // a second one takes the work over from the first, which then ends by itself
}

// Run keeps the daemon running until ctx ends, and then leaves it running.
func Run(ctx context.Context, s Spec, log *slog.Logger) error {
	log = log.With("daemon", s.Name)
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		pid, adopted := Running(s.StateDir, s.Name)
		if adopted && s.outdated(pid) {
			log.Info("daemon upgraded", "pid", pid)
			if err := s.supersede(ctx, pid); err != nil {
				return err
			}
			adopted = false
		}
		s.Upgrade = min(s.Upgrade, UpgradeChanged) // once
		var child *os.Process
		if !adopted {
			var err error
			if child, err = start(s); err != nil {
				return fmt.Errorf("start %s: %w", s.Name, err)
			}
			pid = child.Pid
		}
		log.Info("daemon running", "pid", pid, "adopted", adopted)
		began := time.Now()
		err := wait(ctx, child, pid)
		if ctx.Err() != nil {
			return nil // the daemon stays
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", s.Name, err)
		}
		log.Warn("daemon ended", "pid", pid)
		if time.Since(began) > steady {
			backoff = firstBackoff
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// AwaitReady polls s.Ready until it succeeds or ctx ends.
func AwaitReady(ctx context.Context, s Spec) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready: %w (its log: %s)", s.Name, err, logPath(s.StateDir, s.Name))
		case <-tick.C:
		}
	}
}

func start(s Spec) (*os.Process, error) {
	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(logPath(s.StateDir, s.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	attr := &syscall.SysProcAttr{}
	if s.Attr != nil {
		attr = s.Attr
	}
	attr.Setsid = true
	p, err := os.StartProcess(s.Path, append([]string{s.Path}, s.Args...),
		&os.ProcAttr{Env: s.Env, Files: []*os.File{null, out, out}, Sys: attr})
	if err != nil {
		return nil, err
	}
	if err := record(s.StateDir, s.Name, p.Pid); err != nil {
		_ = p.Kill()
		_, _ = p.Wait()
		return nil, err
	}
	return p, nil
}

// wait returns nil when the process ended, and ctx's error when ctx ended first.
// It sleeps until then.
func wait(ctx context.Context, child *os.Process, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil { // gone already
		reap(child)
		return nil
	}
	f := os.NewFile(uintptr(fd), "process")
	defer f.Close()
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	// A pidfd is readable from the end of its process on.
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	reap(child)
	return nil
}

func reap(child *os.Process) {
	if child != nil {
		_, _ = child.Wait()
	}
}

// Stop ends the daemon: SIGTERM, and SIGKILL when grace is over. That none is
// running is no error.
func Stop(ctx context.Context, stateDir, name string, grace time.Duration) error {
	if err := stopFormer(ctx, stateDir, name, grace); err != nil {
		return err
	}
	return stopFile(ctx, stateDir, name, pidPath(stateDir, name), grace)
}

// stopFile ends the process that a pid file names.
func stopFile(ctx context.Context, stateDir, name, file string, grace time.Duration) error {
	pid, ok := runningIn(file)
	if !ok {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if !gone(ctx, fd, grace) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		if !gone(ctx, fd, 10*time.Second) {
			return fmt.Errorf("stop %s: process %d does not end", name, pid)
		}
	}
	_ = os.Remove(file)
	return nil
}

func gone(ctx context.Context, fd int, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 50); n > 0 {
			return true
		}
	}
	return false
}

// Running returns the daemon's pid, if it runs. The pid file also holds the
// process's start time, so that a reused pid is never taken for the daemon.
func Running(stateDir, name string) (pid int, ok bool) {
	return runningIn(pidPath(stateDir, name))
}

func runningIn(file string) (pid int, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	first, second, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err = strconv.Atoi(first)
	if err != nil {
		return 0, false
	}
	state, began, err := stat(pid)
	return pid, err == nil && began == second && state != "Z"
}

func record(stateDir, name string, pid int) error {
	_, began, err := stat(pid)
	if err != nil {
		return err
	}
	tmp := pidPath(stateDir, name) + ".new"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %s\n", pid, began), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, pidPath(stateDir, name))
}

// stat reads a process's state and start time (proc(5), /proc/pid/stat, fields
// 3 and 22).
func stat(pid int) (state, began string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", err
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 20 {
		return "", "", fmt.Errorf("unreadable stat of process %d", pid)
	}
	return string(fields[0]), string(fields[19]), nil
}

func pidPath(dir, name string) string { return filepath.Join(dir, name+".pid") }
func logPath(dir, name string) string { return filepath.Join(dir, name+".log") }

// Start starts the daemon unless it runs, and does not watch it.
func Start(s Spec) (pid int, err error) {
	if pid, ok := Running(s.StateDir, s.Name); ok {
		return pid, nil
	}
	p, err := start(s)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", s.Name, err)
	}
	pid = p.Pid
	return pid, p.Release()
}
