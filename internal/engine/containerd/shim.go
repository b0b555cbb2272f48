package containerd

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// shim is a running containerd-shim of this engine.
type shim struct {
	pid       int
	container string // empty: it waits for one
}

// shims finds the engine's shims by their arguments, its namespace and its
// containerd's address, and their containers by where they are: in the
// directory of that name.
func (e *Engine) shims() []shim {
	var out []shim
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		data, err := os.ReadFile(filepath.Join(p, "cmdline"))
		args := strings.Split(string(data), "\x00")
		if err != nil || filepath.Base(args[0]) != "containerd-shim-runc-v2" {
			continue
		}
		flags := map[string]string{}
		for n := 1; n+1 < len(args); n++ {
			flags[args[n]] = args[n+1]
		}
		if flags["-namespace"] != e.cfg.namespace() || !strings.HasPrefix(flags["-address"], e.cfg.address()) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(p))
		at, _ := os.Readlink(filepath.Join(p, "cwd"))
		if dir, id := filepath.Split(strings.TrimSuffix(at, " (deleted)")); filepath.Base(dir) == e.cfg.namespace() {
			out = append(out, shim{pid, id})
		} else {
			out = append(out, shim{pid, ""})
		}
	}
	return out
}

// sweepShims ends shims of containers that no instance has.
func (e *Engine) sweepShims() {
	found, known := e.shims(), e.known()
	for _, s := range found {
		if s.container != "" && !known[s.container] {
			e.log.Info("stray shim ended", "container", s.container, "pid", s.pid)
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
		}
	}
}
