package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead/internal/supervise"
	"golang.org/x/sys/unix"
)

const daemonName = "buildkitd"

// prepare makes the directories and files that the sandbox is built from. It
// may be called again while the daemon runs.
func (c Config) prepare(groups *cgroups) error {
	for _, d := range []struct {
		name string
		mode os.FileMode
		own  bool
	}{{"", 0o711, false}, {"root", 0o755, false}, {"etc", 0o755, false}, {"source", 0o700, false}, {"ns", 0o700, false}, {"state", 0o700, true}, {"state/tmp", 0o700, true}, {"run", 0o700, true}} {
		if err := os.MkdirAll(c.path(d.name), d.mode); err != nil {
			return err
		}
		if d.own {
			if err := os.Lchown(c.path(d.name), c.UIDBase, c.UIDBase); err != nil {
				return err
			}
		}
	}
	if err := c.writeEtc(); err != nil {
		return err
	}
	return c.writeJail(groups)
}

// writeEtc writes the daemon's /etc.
func (c Config) writeEtc() error {
	var resolv []byte
	var servers []string
	for _, r := range c.Resolvers {
		resolv = fmt.Appendf(resolv, "nameserver %s\n", r)
		servers = append(servers, r.String())
	}
	conf, err := toml.Marshal(c.daemonConfig(servers))
	if err != nil {
		return fmt.Errorf("write daemon's configuration: %w", err)
	}
	for name, data := range map[string][]byte{
		"resolv.conf": resolv, "buildkitd.toml": conf, "hosts": []byte("127.0.0.1 localhost\n"),
		"passwd": []byte("root:x:0:0:root:/state:/\n"), "group": []byte("root:x:0:\n"), "nsswitch.conf": []byte("hosts: files dns\n"),
	} {
		if err := os.WriteFile(c.path("etc", name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// daemonConfig is buildkitd.toml
// (https://github.com/moby/buildkit/blob/master/docs/buildkitd.toml.md).
func (c Config) daemonConfig(servers []string) map[string]any {
	return map[string]any{
		"root":     "/state/buildkit",
		"grpc":     map[string]any{"address": []string{"unix:///run/buildkitd.sock"}},
		"dns":      map[string]any{"nameservers": servers},
		"log":      map[string]any{"level": "error"},
		"cdi":      map[string]any{"disabled": true},
		"history":  map[string]any{"maxAge": 3600, "maxEntries": 20},
		"frontend": map[string]any{"gateway.v0": map[string]any{"enabled": false}},
		"worker": map[string]any{
			"containerd": map[string]any{"enabled": false},
			"oci": map[string]any{
				"enabled": true, "rootless": false, "snapshotter": "auto", "networkMode": "host", "binary": "/bin/runc",
				"defaultCgroupParent": "/", "max-parallelism": 4, "gc": true,
				"gcpolicy": []map[string]any{
					{"all": true, "maxUsedSpace": c.CacheBytes, "minFreeSpace": c.MinFree, "reservedSpace": c.CacheBytes / 10},
				},
			},
		},
		"registry": c.registries(),
	}
}

// registries are the daemon's settings for image registries: the platform's
// own, which speaks plain HTTP, and the mirrors of others.
func (c Config) registries() map[string]any {
	out := map[string]any{c.Registry.Host: map[string]any{"http": true}}
	for host, mirror := range c.Mirrors.Registries() {
		out[host] = map[string]any{"mirrors": []string{mirror}}
	}
	return out
}

func (c Config) writeJail(groups *cgroups) error {
	j := jail{UserNS: c.path("ns", "user"), NetNS: c.path("ns", "net"), Root: c.path("root"), State: c.path("state"), Run: c.path("run"),
		Etc: c.path("etc"), CertFile: c.CertFile, Cgroups: groups.mounts(), Join: groups.join(), UID: c.UIDBase,
		Tools: []string{filepath.Join(c.Bin, "buildkitd"), filepath.Join(c.Bin, "runc")},
		Args:  []string{"/bin/buildkitd", "--config", "/etc/buildkitd.toml", "--rootless=false"}}
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("sandbox.json"), data, 0o644)
}

func (c Config) spec() supervise.Spec {
	return supervise.Spec{Name: daemonName, Path: c.Helper, Args: []string{"sandbox", "build", c.path("sandbox.json")},
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, StateDir: c.Dir,
		Attr:  &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS},
		Ready: c.ready}
}

// ready is nil when the daemon answers with a worker.
func (c Config) ready(ctx context.Context) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	workers, err := cl.ListWorkers(ctx)
	if err == nil && len(workers) == 0 {
		err = errors.New("the build daemon has no worker")
	}
	return err
}

func (c Config) dial(ctx context.Context) (*client.Client, error) {
	if len(c.socket()) > 107 {
		return nil, fmt.Errorf("the path %s is too long for a socket", c.socket())
	}
	return client.New(ctx, "unix://"+c.socket())
}
