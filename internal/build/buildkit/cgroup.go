package buildkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroups is the part of the control groups that builds live in:
//
//	<name>/build/daemon   buildkitd itself
//	<name>/build/steps    what build steps run, capped together; its inside
//	                      belongs to the user namespace's root
//
// On version 1 that tree is in each controller's hierarchy.
type cgroups struct {
	v2    bool
	roots map[string]string // controller → mount point; v2: "" → mount point
	name  string
}

// openCgroups makes the tree, or completes the one that is there.
func openCgroups(name string, uid int) (*cgroups, error) {
	c := &cgroups{roots: map[string]string{}, name: filepath.Join(name, "build")}
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	if c.v2 = st.Type == unix.CGROUP2_SUPER_MAGIC; c.v2 {
		c.roots[""] = cgroupRoot
	} else if err := c.findV1(); err != nil {
		return nil, err
	}
	for controller := range c.roots {
		if err := c.make(controller, uid); err != nil {
			return nil, fmt.Errorf("make control group of builds: %w", err)
		}
	}
	return c, nil
}

// findV1 lists the hierarchies; a directory may be a link to one that serves
// several controllers, and either name works.
func (c *cgroups) findV1() error {
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return fmt.Errorf("find control groups: %w", err)
	}
	for _, e := range entries {
		var st unix.Statfs_t
		path := filepath.Join(cgroupRoot, e.Name())
		if e.Type()&fs.ModeSymlink == 0 && unix.Statfs(path, &st) == nil && st.Type == unix.CGROUP_SUPER_MAGIC {
			c.roots[e.Name()] = path
		}
	}
	return nil
}

func (c *cgroups) make(controller string, uid int) error {
	root := c.roots[controller]
	at := root
	for _, part := range strings.Split(c.name, "/") {
		if c.v2 {
			_ = os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0)
		}
		if err := c.child(controller, at, part); err != nil {
			return err
		}
		at = filepath.Join(at, part)
	}
	if c.v2 {
		if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0); err != nil {
			return err
		}
	}
	for _, part := range []string{"daemon", "steps"} {
		if err := c.child(controller, at, part); err != nil {
			return err
		}
	}
	return c.delegate(at, uid)
}

func (c *cgroups) child(controller, parent, name string) error {
	dir := filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if controller != "cpuset" {
		return nil
	}
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} { // empty at first: nothing could run
		data, err := os.ReadFile(filepath.Join(parent, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f), data, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// delegate gives the inside of steps to the user namespace's root. The files
// that hold its limits stay the host's.
func (c *cgroups) delegate(at string, uid int) error {
	for _, f := range []string{"steps", "steps/cgroup.procs", "steps/tasks", "steps/cgroup.threads", "steps/cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(at, f), uid, uid); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if c.v2 { // a process may move between two groups if it may write to what is above both
		return os.Chown(filepath.Join(at, "cgroup.procs"), uid, uid)
	}
	return nil
}

// dir returns a directory of the tree, in one controller's hierarchy.
func (c *cgroups) dir(controller, part string) string {
	if c.v2 {
		controller = ""
	}
	return filepath.Join(c.roots[controller], c.name, part)
}

// join lists the files by which a process enters the daemon's group.
func (c *cgroups) join() (files []string) {
	for controller := range c.roots {
		files = append(files, filepath.Join(c.dir(controller, "daemon"), "cgroup.procs"))
	}
	return files
}

// mounts lists what the daemon sees below /sys/fs/cgroup.
func (c *cgroups) mounts() (out []string) {
	for controller := range c.roots {
		out = append(out, controller+"="+c.dir(controller, "steps"))
	}
	return out
}

// caps is what a part of the tree may use, in sum.
type caps struct {
	memory int64 // bytes
	cpu    int   // thousandths of a core
	pids   int64
	weight int // 1–10000 as in version 2; 100 is what others have
}

// limit sets the caps of a part. Raising and lowering both work while it is in
// use; lowering memory below what is used makes the kernel reclaim first.
func (c *cgroups) limit(part string, l caps) error {
	const period = 100_000
	quota := strconv.Itoa(l.cpu * period / 1000)
	memory, pids := strconv.FormatInt(l.memory, 10), strconv.FormatInt(l.pids, 10)
	if c.v2 {
		return errors.Join(c.set("", part, "memory.max", memory), c.optional("", part, "memory.swap.max", "0"),
			c.optional("", part, "memory.oom.group", "0"), c.set("", part, "pids.max", pids),
			c.set("", part, "cpu.max", quota+" "+strconv.Itoa(period)), c.set("", part, "cpu.weight", strconv.Itoa(l.weight)))
	}
	return errors.Join(c.limitMemoryV1(part, memory), c.set("pids", part, "pids.max", pids),
		c.set("cpu", part, "cpu.cfs_period_us", strconv.Itoa(period)), c.set("cpu", part, "cpu.cfs_quota_us", quota),
		c.set("cpu", part, "cpu.shares", strconv.Itoa(max(2, l.weight*1024/100))))
}

// limitMemoryV1 sets memory, and memory plus swap where swap is accounted. The
// second must never be below the first, so which goes first depends.
func (c *cgroups) limitMemoryV1(part, memory string) error {
	_ = c.set("memory", part, "memory.memsw.limit_in_bytes", memory)
	if err := c.set("memory", part, "memory.limit_in_bytes", memory); err != nil {
		return err
	}
	return c.optional("memory", part, "memory.memsw.limit_in_bytes", memory)
}

func (c *cgroups) set(controller, part, file, value string) error {
	if c.roots[controller] == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(c.dir(controller, part), file), []byte(value), 0); err != nil {
		return fmt.Errorf("cap builds: %w", err)
	}
	return nil
}

func (c *cgroups) optional(controller, part, file, value string) error {
	if err := c.set(controller, part, file, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remove takes the tree away; the processes in it must be gone or going.
func (c *cgroups) remove() error {
	var errs []error
	for controller := range c.roots {
		errs = append(errs, removeTree(c.dir(controller, "")), dropEmpty(filepath.Dir(c.dir(controller, ""))))
	}
	return errors.Join(errs...)
}

// removeTree removes control groups, children first. A group stays busy for a
// moment after its last process ended.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		rm := unix.Rmdir(dir)
		if rm == nil || rm == unix.ENOENT {
			return err
		}
		if rm != unix.EBUSY || time.Now().After(end) {
			return errors.Join(err, fmt.Errorf("remove control group %s: %w", dir, rm))
		}
	}
}

// dropEmpty removes a group that others may still use; that it is not empty is no error.
func dropEmpty(dir string) error {
	_ = unix.Rmdir(dir)
	return nil
}
