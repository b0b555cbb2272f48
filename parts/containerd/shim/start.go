package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	runc "github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// starter runs runc, but does "runc start" itself: all there is to it is to
// read what the container's process, which is made and waits, writes into a
// pipe of runc's. If anything is not as expected, runc is run after all, and
// says what is wrong.
type starter struct{ runc.ProcessMonitor }

func (s starter) Start(c *exec.Cmd) (chan runc.Exit, error) {
	if done := started(c); done != nil {
		return done, nil
	}
	return s.ProcessMonitor.Start(c)
}

func (s starter) StartLocked(c *exec.Cmd) (chan runc.Exit, error) {
	if done := started(c); done != nil {
		return done, nil
	}
	return s.ProcessMonitor.StartLocked(c)
}

// Wait is also for commands that were never run.
func (s starter) Wait(c *exec.Cmd, exit chan runc.Exit) (int, error) {
	if c.Process == nil {
		return (<-exit).Status, nil
	}
	return s.ProcessMonitor.Wait(c, exit)
}

// started returns nil if c is not "runc start", or runc has to do it.
func started(c *exec.Cmd) chan runc.Exit {
	n := len(c.Args)
	root := slices.Index(c.Args, "--root")
	if n < 2 || c.Args[n-2] != "start" || root < 0 || root+1 >= n-2 {
		return nil
	}
	if release(filepath.Join(c.Args[root+1], c.Args[n-1], "exec.fifo")) != nil {
		return nil
	}
	exit := make(chan runc.Exit, 1)
	exit <- runc.Exit{Timestamp: time.Now()}
	return exit
}

// patience is for a process that is on its way to the pipe: runc says that a
// container is made just before.
const patience = 100 * time.Millisecond

// release lets the process at the other end of runc's pipe go on.
func release(fifo string) error {
	fd, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for end := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR && time.Now().Before(end):
			continue
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("nobody writes to %s", fifo)
		}
		break
	}
	var b [1]byte
	if n, err := unix.Read(fd, b[:]); err != nil || n == 0 {
		return fmt.Errorf("read %s: %d bytes: %w", fifo, n, err)
	}
	return os.Remove(fifo) // runc tells "created" from "running" by it
}
