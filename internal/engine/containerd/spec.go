package containerd

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead/internal/engine/network"
	"golang.org/x/sys/unix"
)

// capabilities are what web apps need of root inside their user namespace:
// to own and read their files, to become another user, to bind port 80, to
// signal their children.
func capabilities() []string {
	return []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_KILL"}
}

const holdPath = "/.stead/hold"

// spec writes the container's OCI configuration.
func (i *instance) spec(ctx context.Context, id string, img *imageInfo, place network.Endpoint) (*specs.Spec, error) {
	e := i.e
	ctx = namespaces.WithNamespace(ctx, e.cfg.namespace())
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: e.cfg.Network.UIDBase(), Size: network.UIDCount}}
	files, err := i.writeFiles(id, place)
	if err != nil {
		return nil, fmt.Errorf("write instance files: %w", err)
	}
	args := i.args(img)
	if len(args) == 0 {
		return nil, noCommand()
	}
	env, notes, err := i.handEnv(id, i.env(img))
	if err != nil {
		return nil, fmt.Errorf("write environment: %w", err)
	}
	c := &containers.Container{ID: id, Snapshotter: snapshotter, SnapshotKey: id}
	opts := []oci.SpecOpts{
		oci.WithDefaultUnixDevices, oci.WithHostname(i.hostname()), oci.WithProcessArgs(args...), oci.WithProcessCwd(img.cwd()),
		oci.WithEnv(env), oci.WithAnnotations(notes), i.e.user(img), oci.WithCapabilities(capabilities()), oci.WithNoNewPrivileges,
		oci.WithUserNamespace(ids, ids),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.UserNamespace, Path: place.UserNS}),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: place.NetNS}),
		oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.CgroupNamespace}),
		oci.WithMounts(files), i.limits(), oci.WithCgroup("/" + e.cfg.namespace() + "/" + id), withSeccomp,
	}
	spec, err := oci.GenerateSpec(ctx, e.containerd(), c, opts...)
	if err != nil {
		return nil, fmt.Errorf("write specification: %w", err)
	}
	return spec, nil
}

func (i *instance) args(img *imageInfo) []string {
	switch {
	case i.w.Hold:
		return append([]string{holdPath}, i.e.cfg.Hold[1:]...)
	case len(i.w.Command) > 0:
		return i.w.Command
	}
	return append(slices.Clone(img.config.Entrypoint), img.config.Cmd...)
}

// env is the image's environment, with the workload's on top.
func (i *instance) env(img *imageInfo) []string {
	env := slices.Clone(img.config.Env)
	if !slices.ContainsFunc(env, func(s string) bool { return len(s) > 5 && s[:5] == "PATH=" }) {
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	for _, k := range slices.Sorted(maps.Keys(i.w.Env)) {
		env = append(env, k+"="+i.w.Env[k])
	}
	return append(env, "STEAD_INSTANCE="+i.name)
}

// envNote is the annotation by which our shim finds the environment.
const envNote = "stead.env"

// handEnv keeps the environment, which has secrets, out of what containerd
// writes to its database: it lies below RunDir, which a reboot takes, until the
// shim has read it. Another shim cannot, and gets it by the specification.
func (i *instance) handEnv(id string, env []string) (open []string, notes map[string]string, err error) {
	if i.e.cfg.runtime() != steadRuntime {
		return env, nil, nil
	}
	file := i.e.envFile(id)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, nil, err
	}
	return nil, map[string]string{envNote: file}, writeJSON(file, env, false)
}

func (e *Engine) envFile(id string) string { return filepath.Join(e.cfg.RunDir, "env", id) }

// limits caps memory (no swap on top), CPU, processes and open files.
func (i *instance) limits() oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		size, r := i.w.Size, s.Linux.Resources
		if size.Memory > 0 {
			r.Memory = &specs.LinuxMemory{Limit: &size.Memory, Swap: &size.Memory}
		}
		if size.CPU > 0 {
			period, quota := uint64(100_000), max(int64(size.CPU)*100, 1000)
			r.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
		}
		if size.PIDs > 0 {
			r.Pids = &specs.LinuxPids{Limit: &size.PIDs}
		}
		files := openFiles(size.Files)
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: files, Hard: files}, {Type: "RLIMIT_CORE"}}
		return nil
	}
}

// openFiles is the wish, but no more than this process may grant.
func openFiles(wish int) uint64 {
	var own unix.Rlimit
	if wish <= 0 {
		wish = 1024
	}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) == nil && own.Max < uint64(wish) {
		return own.Max
	}
	return uint64(wish)
}

// withSeccomp is the default filter for the machine's own architecture only:
// filters for the foreign ones, which are refused so, cost most of a start.
func withSeccomp(ctx context.Context, c oci.Client, k *containers.Container, s *specs.Spec) error {
	if err := seccomp.WithDefaultProfile()(ctx, c, k, s); err != nil {
		return err
	}
	if native, ok := map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64}[runtime.GOARCH]; ok {
		s.Linux.Seccomp.Architectures = []specs.Arch{native}
	}
	return nil
}

// writeFiles makes the files that the container sees in /etc, and lists the
// mounts.
func (i *instance) writeFiles(id string, place network.Endpoint) ([]specs.Mount, error) {
	dir := i.e.cfg.path("files", id)
	for _, d := range []string{dir, filepath.Dir(i.e.outputFile(id, "out"))} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	for _, kind := range []string{"out", "err"} {
		f, err := os.OpenFile(i.e.outputFile(id, kind), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		f.Close()
	}
	var mounts []specs.Mount
	for name, text := range i.files(place) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
		mounts = append(mounts, readOnly(filepath.Join(dir, name), "/etc/"+name))
	}
	if i.w.Hold {
		mounts = append(mounts, readOnly(i.e.cfg.Hold[0], holdPath))
	}
	return mounts, nil
}

func (i *instance) files(place network.Endpoint) map[string][]byte {
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost\n::1\tlocalhost\n%s\t%s\n", place.Address, i.hostname())
	var resolv bytes.Buffer
	for _, r := range place.Resolvers {
		fmt.Fprintf(&resolv, "nameserver %s\n", r)
	}
	resolv.WriteString("options edns0 timeout:2 attempts:2\n")
	return map[string][]byte{"hosts": []byte(hosts), "resolv.conf": resolv.Bytes(), "hostname": []byte(i.hostname() + "\n")}
}

func readOnly(from, to string) specs.Mount {
	return specs.Mount{Type: "bind", Source: from, Destination: to, Options: []string{"rbind", "ro", "nosuid", "nodev"}}
}

// hostname is "web-1": the app sees nothing of the machine.
func (i *instance) hostname() string { return fmt.Sprintf("%s-%d", hostLabel(i.w.Process), i.index) }

func hostLabel(process string) string {
	b := []byte(process)
	for n, c := range b {
		if c == '_' {
			b[n] = '-'
		}
	}
	return string(b)
}

func addrPort(a netip.Addr, port int) netip.AddrPort { return netip.AddrPortFrom(a, uint16(port)) }
