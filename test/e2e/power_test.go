package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// powerLoss does to the platform what a power cut and the boot after it do:
// every process ends at once, and what the kernel held or lay in memory is gone.
func powerLoss(t *testing.T, p *platform) {
	t.Helper()
	id := network(p)
	for _, name := range []string{"supervisor", "serve", "router", "containerd", "buildkitd"} {
		if pid, err := p.findPid(name); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	until(t, 30*time.Second, "no process of the platform is left", func() bool {
		left := 0
		for pid := range processesOf("", "stead-"+id) { // shims
			_ = syscall.Kill(pid, syscall.SIGKILL)
			left++
		}
		for _, pid := range grouped(id) { // instances, builds
			_ = syscall.Kill(pid, syscall.SIGKILL)
			left++
		}
		return left == 0
	})
	unmount(t, p.dir+"/", "/run/stead-"+id+"/")
	for _, args := range [][]string{{"ip", "link"}, {"nft", "list", "tables"}} {
		out, _ := exec.Command(args[0], args[1:]...).Output()
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(strings.ReplaceAll(line, "@", " "))
			switch {
			case !strings.Contains(line, id):
			case args[0] == "ip" && len(f) > 1:
				_ = exec.Command("ip", "link", "del", strings.TrimSuffix(f[1], ":")).Run() // its peer may have taken it along
			case args[0] == "nft" && len(f) == 3:
				_ = exec.Command("nft", "delete", "table", f[1], f[2]).Run()
			}
		}
	}
	until(t, 10*time.Second, "the control groups are gone", func() bool { return len(groups(id, true)) == 0 })
	if err := os.RemoveAll("/run/stead-" + id); err != nil {
		t.Fatal(err)
	}
	if left := networkLeft(t, id); len(left) > 0 {
		t.Fatalf("the power loss left %v", left)
	}
}

// groups returns the platform's control groups, innermost first, and removes
// those that can be.
func groups(id string, remove bool) []string {
	var dirs []string
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/stead-" + id)
	for _, root := range append(roots, "/sys/fs/cgroup/stead-"+id) {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	slices.Reverse(dirs)
	if remove {
		dirs = slices.DeleteFunc(dirs, func(d string) bool { return os.Remove(d) == nil })
	}
	return dirs
}

// grouped returns the processes in the platform's control groups.
func grouped(id string) (pids []int) {
	for _, dir := range groups(id, false) {
		data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, f := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// unmount takes away all mounts below the folders.
func unmount(t *testing.T, below ...string) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var points []string
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if slices.ContainsFunc(below, func(b string) bool { return strings.HasPrefix(f[4], b) }) {
			points = append(points, f[4])
		}
	}
	slices.Reverse(points)
	for _, point := range points {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL {
			t.Fatalf("unmount %s: %v", point, err)
		}
	}
}

// TestPowerLoss cuts the power while the platform runs apps and builds. All of
// it comes back by one start, as a machine's boot does it.
func TestPowerLoss(t *testing.T) {
	needRealEngine(t)
	p := start(t, "containerd")
	dir := tree(t, p, "lamp")
	p.must(t, dir, "create", "lamp", "--no-remote")
	p.must(t, dir, "push", "-a", "lamp")
	p.must(t, dir, "scale", "web=2", "-a", "lamp")
	write(t, dir, "note", "cut off")
	pushed := make(chan struct{})
	go func() { defer close(pushed); _, _ = p.stead(t, dir, "push", "-a", "lamp") }()
	var builds []struct{ State string }
	until(t, time.Minute, "a build runs", func() bool {
		return p.data(t, dir, &builds, "builds", "-a", "lamp", "-n", "1") == nil && len(builds) == 1 && builds[0].State == "running"
	})
	powerLoss(t, p)
	<-pushed
	began := time.Now()
	p.steadd(t, "start")
	until(t, time.Minute, "the app serves", func() bool { return strings.Contains(p.get(t.Context(), "lamp", "/"), "lamp") })
	t.Logf("serving %.1f s after the boot", time.Since(began).Seconds())
	until(t, 3*time.Minute, "the build that was cut off has ended", func() bool {
		return p.data(t, dir, &builds, "builds", "-a", "lamp", "-n", "1") == nil && builds[0].State != "running" && builds[0].State != "queued"
	})
	p.must(t, dir, "push", "-a", "lamp")
	left := ""
	until(t, 2*time.Minute, "the engine has two instances and nothing besides", func() bool {
		now := p.remains(t, 2)
		if now != left {
			t.Log(now)
		}
		left = now
		return left == ""
	})
}
