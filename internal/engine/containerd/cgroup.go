package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/steadpaas/stead/internal/engine"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroup is a container's control group, by its path in the hierarchies.
type cgroup string

func (e *Engine) cgroup(container string) cgroup {
	return cgroup("/" + e.cfg.namespace() + "/" + container)
}

// file returns the path of a file of the group: in its one directory (v2), or
// in the named controller's (v1).
func (c cgroup) file(controller, name string) string {
	if _, err := os.Stat(cgroupRoot + "/cgroup.controllers"); err == nil {
		controller = ""
	}
	return filepath.Join(cgroupRoot, controller, string(c), name)
}

// oomKills returns how many processes of the group the kernel killed for
// memory. The files stay until the task is deleted.
func oomKills(c cgroup) int64 {
	return max(keyed(c.file("memory", "memory.oom_control"), "oom_kill"), keyed(c.file("memory", "memory.events"), "oom_kill"))
}

func (c cgroup) processes() []int {
	data, _ := os.ReadFile(c.file("pids", "cgroup.procs"))
	var out []int
	for _, f := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(f); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// signal sends a signal to every process of a container.
func (e *Engine) signal(container string, s syscall.Signal) {
	for _, pid := range e.cgroup(container).processes() {
		_ = syscall.Kill(pid, s) // one that just ended is fine
	}
}

func (c cgroup) cpu() time.Duration {
	if ns := number(c.file("cpuacct", "cpuacct.usage")); ns > 0 {
		return time.Duration(ns)
	}
	return time.Duration(keyed(c.file("cpu", "cpu.stat"), "usage_usec")) * time.Microsecond
}

// memory is what cannot be reclaimed: usage without the idle page cache.
func (c cgroup) memory() int64 {
	usage := max(number(c.file("memory", "memory.usage_in_bytes")), number(c.file("memory", "memory.current")))
	stat := c.file("memory", "memory.stat")
	return max(0, usage-max(keyed(stat, "total_inactive_file"), keyed(stat, "inactive_file")))
}

func number(file string) int64 {
	data, _ := os.ReadFile(file)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}

// keyed reads a file of "key value" lines.
func keyed(file, key string) int64 {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// Samples implements engine.Sampler.
func (e *Engine) Samples(ctx context.Context) ([]engine.Sample, error) {
	e.mu.Lock()
	containers := map[string]string{}
	for _, w := range e.workloads {
		for _, i := range w.instances {
			if c := i.container(); c != "" {
				containers[i.id] = c
			}
		}
	}
	e.mu.Unlock()
	var out []engine.Sample
	for id, container := range containers {
		c := e.cgroup(container)
		pids := number(c.file("pids", "pids.current"))
		if pids == 0 {
			continue
		}
		out = append(out, engine.Sample{Instance: id, At: time.Now(), CPU: c.cpu(), Memory: c.memory(), PIDs: pids})
	}
	return out, nil
}
