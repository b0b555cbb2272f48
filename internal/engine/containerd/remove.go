package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/steadpaas/stead/internal/supervise"
	"golang.org/x/sys/unix"
)

// Remove takes everything away that the engine made on this machine, logs
// aside: instances, images, its containerd, mounts, control groups, files. Run
// must have ended, and must not be called again.
func (e *Engine) Remove(ctx context.Context) error {
	if e.cfg.Address != "" {
		if err := e.removeShared(ctx); err != nil {
			return err
		}
	}
	for _, name := range e.cfg.Network.Names() {
		if strings.HasPrefix(name, endpointMark) {
			if err := e.cfg.Network.Detach(ctx, name); err != nil {
				return err
			}
		}
	}
	if e.cfg.Address == "" {
		if err := supervise.Stop(ctx, e.cfg.Dir, "containerd", 10*time.Second); err != nil {
			return fmt.Errorf("stop containerd: %w", err)
		}
	}
	e.killAll(ctx)
	for _, dir := range []string{e.cfg.Dir, e.cfg.RunDir} {
		if err := unmountBelow(dir); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(e.cfg.Dir), os.RemoveAll(e.cfg.RunDir), e.removeCgroups(ctx))
}

// removeShared takes the engine's things out of a containerd that stays.
func (e *Engine) removeShared(ctx context.Context) error {
	c, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	e.mu.Lock()
	e.client, e.workloads = c, map[string]*workload{}
	e.mu.Unlock()
	for id := range e.strays(ctx) {
		e.clear(ctx, id)
	}
	if _, err := e.dropImages(ctx); err != nil {
		return err
	}
	// The namespace goes when garbage collection has emptied it.
	for ctx.Err() == nil {
		err = c.NamespaceService().Delete(ctx, e.cfg.namespace())
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		pause(ctx, 200*time.Millisecond)
	}
	return fmt.Errorf("remove namespace: %w", err)
}

// killAll ends shims and what is in the engine's control groups.
func (e *Engine) killAll(ctx context.Context) {
	for ctx.Err() == nil {
		left := 0
		for _, s := range e.shims() {
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
			left++
		}
		for _, dir := range e.cgroupDirs() {
			data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, f := range strings.Fields(string(data)) {
				pid, _ := strconv.Atoi(f)
				_ = syscall.Kill(pid, syscall.SIGKILL)
				left++
			}
		}
		if left == 0 {
			return
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// cgroupDirs returns the engine's control groups, innermost first.
func (e *Engine) cgroupDirs() []string {
	var dirs []string
	roots, _ := filepath.Glob(cgroupRoot + "/*/" + e.cfg.namespace())
	for _, root := range append(roots, filepath.Join(cgroupRoot, e.cfg.namespace())) {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	slices.Reverse(dirs)
	return dirs
}

func (e *Engine) removeCgroups(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		var errs []error
		for _, dir := range e.cgroupDirs() {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		if len(errs) == 0 || ctx.Err() != nil {
			return errors.Join(errs...)
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func unmountBelow(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, f[4])
		}
	}
	slices.Reverse(points)
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", p, err)
		}
	}
	return nil
}
