package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// breach is a cap that was reached.
type breach string

const (
	breachMemory breach = "memory"
	breachPIDs   breach = "processes"
	breachDisk   breach = "disk"
)

// watch reports the caps that builds reach while it runs.
type watch struct {
	groups *cgroups
	oom    *os.File // v1: an eventfd that counts
	before map[string]int64
}

const stepsDir = "steps"

func (c *cgroups) watch() (*watch, error) {
	w := &watch{groups: c, before: map[string]int64{}}
	if c.v2 {
		w.before["oom"] = c.count(c.dir("", stepsDir), "memory.events", "oom_kill")
		w.before["pids"] = c.count(c.dir("", stepsDir), "pids.events", "max")
		return w, nil
	}
	w.before["peak"] = c.freshPeak()
	return w, w.listenV1()
}

// freshPeak starts the count of the most processes at once anew, if no build is
// in progress, and returns it. The group is the runtime's and made again by it.
func (c *cgroups) freshPeak() int64 {
	dir := filepath.Join(c.dir("pids", stepsDir), "buildkit")
	_ = unix.Rmdir(dir)
	return number(filepath.Join(dir, "pids.peak"))
}

// number reads a file that holds one; 0 when it does not or is not there.
func number(file string) int64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}

// listenV1 asks to be told when the group, as a whole, is out of memory
// (https://docs.kernel.org/admin-guide/cgroup-v1/memory.html, section 10).
func (w *watch) listenV1() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch build memory: %w", err)
	}
	w.oom = os.NewFile(uintptr(fd), "oom events")
	dir := w.groups.dir("memory", stepsDir)
	control, err := os.Open(filepath.Join(dir, "memory.oom_control"))
	if err == nil {
		defer control.Close()
		err = os.WriteFile(filepath.Join(dir, "cgroup.event_control"), fmt.Appendf(nil, "%d %d", fd, control.Fd()), 0)
	}
	if err != nil {
		w.oom.Close()
		return fmt.Errorf("watch build memory: %w", err)
	}
	return nil
}

func (w *watch) close() {
	if w.oom != nil {
		w.oom.Close()
	}
}

// outOfMemory reports whether the kernel killed for memory since the watch began.
func (w *watch) outOfMemory() bool {
	if w.groups.v2 {
		return w.groups.count(w.groups.dir("", stepsDir), "memory.events", "oom_kill") > w.before["oom"]
	}
	var n [8]byte
	got, err := unix.Read(int(w.oom.Fd()), n[:])
	return err == nil && got == 8
}

// outOfPIDs reports whether a process was refused since the watch began. Version
// 1 counts in the step's own group, which goes with the step. What stays is the
// group between, whose peak is above the limit when a process was refused.
func (w *watch) outOfPIDs() bool {
	if w.groups.v2 {
		return w.groups.count(w.groups.dir("", stepsDir), "pids.events", "max") > w.before["pids"]
	}
	dir := w.groups.dir("pids", stepsDir)
	if peak := number(filepath.Join(dir, "buildkit/pids.peak")); peak > w.before["peak"] && peak > number(filepath.Join(dir, "pids.max")) {
		return true
	}
	files, err := filepath.Glob(filepath.Join(dir, "buildkit/*/pids.events"))
	if err != nil {
		return false
	}
	for _, f := range files {
		if w.groups.count(filepath.Dir(f), "pids.events", "max") > 0 {
			return true
		}
	}
	return false
}

// count reads one counter of a "name value" file; 0 when it is not there.
func (c *cgroups) count(dir, file, name string) int64 {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}

// guard watches a build until ctx ends, and calls breached once for each cap
// that is reached.
func (b *Builder) guard(ctx context.Context, w *watch, breached func(breach)) {
	start := freeBytes(b.cfg.Dir)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	seen := map[breach]bool{}
	check := func() {
		free := freeBytes(b.cfg.Dir)
		for kind, hit := range map[breach]bool{breachMemory: w.outOfMemory(), breachPIDs: w.outOfPIDs(),
			breachDisk: free < b.cfg.MinFree || start-free > b.cfg.GrowthLimit} {
			if hit && !seen[kind] {
				seen[kind] = true
				breached(kind)
			}
		}
	}
	for {
		check()
		select {
		case <-ctx.Done():
			check()
			return
		case <-tick.C:
		}
	}
}

// freeBytes is what is left to unprivileged users on the file system.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 1 << 62
	}
	return int64(st.Bavail) * st.Bsize
}

var errDisk = errors.New("a build reached its disk limit")
