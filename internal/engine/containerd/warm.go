package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// warmDir is where shims wait, each behind a socket.
func (c Config) warmDir() string { return filepath.Join(c.RunDir, "s", "warm") }

// aside is how long the making of the next shim stays out of the way of the
// start that took one.
const aside = 250 * time.Millisecond

// keepWarm keeps some shims waiting, so that starts do not wait for theirs.
// They end with this process; one that has a container outlives it.
func (e *Engine) keepWarm(ctx context.Context) error {
	dir := e.cfg.warmDir()
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return fmt.Errorf("make directory of shims that wait: %w", err)
	}
	var g errgroup.Group
	for range e.cfg.Warm {
		g.Go(func() error {
			for next := aside; ctx.Err() == nil; pause(ctx, next) {
				next = aside
				if err := e.warm(ctx, dir); err != nil {
					e.log.Warn("no shim waits", "error", err) // starts work without, a little slower
					next = time.Minute
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// warm starts a shim that waits, and returns when it has a container or ended.
func (e *Engine) warm(ctx context.Context, dir string) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.SetNonblock(pair[0], true)
	ours, theirs := os.NewFile(uintptr(pair[0]), "shim"), os.NewFile(uintptr(pair[1]), "shim")
	defer ours.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		theirs.Close()
		return err
	}
	defer null.Close()
	path := filepath.Join(e.cfg.BinDir, "containerd-shim-runc-v2")
	began := time.Now()
	p, err := os.StartProcess(path, []string{path, "-namespace", e.cfg.namespace(), "-address", e.cfg.address(), "-wait", dir},
		&os.ProcAttr{Dir: "/", Env: []string{}, Files: []*os.File{null, null, null, theirs}, Sys: &syscall.SysProcAttr{Setsid: true}})
	theirs.Close()
	if err != nil {
		return err
	}
	go func() { _, _ = p.Wait() }() // whenever it ends: perhaps long after this returned
	defer context.AfterFunc(ctx, func() { ours.Close() })()
	_, _ = ours.Read(make([]byte, 1)) // ends when the shim lets its end go
	if ctx.Err() == nil && time.Since(began) < time.Second && unix.Kill(p.Pid, 0) != nil {
		return errors.New("it ended at once")
	}
	return nil
}
