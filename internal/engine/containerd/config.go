// Package containerd is the engine for one machine: containerd and runc run
// the instances, package network connects them, and a small loop for each
// instance keeps it as asked.
//
// What runs outlives this process, and containerd. Everything needed to find
// it again is in Config.Dir: a directory for each workload with the workload
// itself and a small file for each instance.
package containerd

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/logs"
)

// Registry is where images are pulled from, by plain HTTP.
type Registry struct {
	Host           string // host:port
	User, Password string // Basic authentication; empty: none
}

// Sealer makes what lies on disk unreadable without its key. The second
// argument names what the value belongs to.
type Sealer interface {
	Seal(plain, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

// Config says what the engine is made of.
type Config struct {
	ID       string // of the platform, as network.Config.ID
	Dir      string // state that outlives everything: records, images, layers, unread output
	RunDir   string // sockets and what a reboot may take; empty: /run/stead-<ID>; at most 38 bytes
	BinDir   string // holds containerd, its shims and runc
	Address  string // of the machine's own containerd; empty: a private one, supervised
	Network  *network.Network
	Logs     logs.Appender
	Registry Registry
	Sealer   Sealer   // of the workloads' environments; nil: only to remove what there is
	Hold     []string // argv that idles in held instances; its program is static; empty: this program, "hold"
	Node     string   // name of this machine; empty: its host name
	Spare    int      // endpoints kept ready, so that starts are quick; negative: none, 0: 3
	Warm     int      // shims kept waiting, likewise; negative: none, 0: 2
}

var idGrammar = regexp.MustCompile(`^[a-z0-9]{1,6}$`)

func (c Config) withDefaults() (Config, error) {
	if !idGrammar.MatchString(c.ID) {
		return c, stead.Invalid("id", "the platform's id is not 1 to 6 of a-z and 0-9", "choose an id such as \"main\"")
	}
	if c.RunDir == "" {
		c.RunDir = "/run/stead-" + c.ID
	}
	if len(c.RunDir) > 38 {
		return c, stead.Invalid("run_dir", "the path "+c.RunDir+" is too long to hold sockets", "choose one of at most 38 bytes, such as /run/stead")
	}
	if len(c.Hold) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("find own program: %w", err)
		}
		c.Hold = []string{exe, "hold"}
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	if c.Spare == 0 {
		c.Spare = 3
	}
	if c.Warm == 0 {
		c.Warm = 2
	}
	return c, nil
}

func (c Config) namespace() string { return "stead-" + c.ID }

func (c Config) address() string {
	if c.Address != "" {
		return c.Address
	}
	return filepath.Join(c.RunDir, "containerd.sock")
}

const steadRuntime = "io.containerd.stead.v1"

// runtime names the shim: containerd's own, or, where it is there and the
// containerd is ours, the quicker way to start the same.
func (c Config) runtime() string {
	if _, err := os.Stat(filepath.Join(c.BinDir, "containerd-shim-stead-v1")); err == nil && c.Address == "" {
		return steadRuntime
	}
	return "io.containerd.runc.v2"
}

func (c Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

func (c Config) log(l *slog.Logger) *slog.Logger { return l.With("engine", "containerd") }
