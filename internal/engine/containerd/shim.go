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
	container string
}

// shims finds the engine's shims by their arguments: its namespace and its
// containerd's address.
func (e *Engine) shims() []shim {
	var out []shim
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		data, err := os.ReadFile(p)
		args := strings.Split(string(data), "\x00")
		if err != nil || filepath.Base(args[0]) != "containerd-shim-runc-v2" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		flags := map[string]string{}
		for n := 1; n+1 < len(args); n++ {
			flags[args[n]] = args[n+1]
		}
		if flags["-namespace"] == e.cfg.namespace() && strings.HasPrefix(flags["-address"], e.cfg.address()) {
			out = append(out, shim{pid, flags["-id"]})
		}
	}
	return out
}

// sweepShims ends shims of containers that no instance has.
func (e *Engine) sweepShims() {
	found, known := e.shims(), e.known()
	for _, s := range found {
		if !known[s.container] {
			e.log.Info("stray shim ended", "container", s.container, "pid", s.pid)
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
		}
	}
}
