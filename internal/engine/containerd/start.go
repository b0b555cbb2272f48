package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine/network"
)

const (
	snapshotter   = "overlayfs"
	labelPlatform = "stead.platform"
	labelInstance = "stead.instance"
	endpointMark  = "i-" // begins the names of the engine's endpoints
)

// stopwatch splits a start into stages.
type stopwatch struct {
	last   time.Time
	stages []stead.Stage
}

func (s *stopwatch) lap(name string) {
	now := time.Now()
	s.stages = append(s.stages, stead.Stage{Name: name, Seconds: now.Sub(s.last).Seconds()})
	s.last = now
}

func (r *running) stages() []stead.Stage {
	if r.watch == nil {
		return nil
	}
	r.watch.lap("healthy")
	return r.watch.stages
}

// start makes a new container and starts it.
func (i *instance) start(ctx context.Context) (*running, error) {
	select {
	case i.e.starts <- struct{}{}:
		defer func() { <-i.e.starts }()
	case <-i.stopped:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	sw := &stopwatch{last: time.Now()}
	img, err := i.e.image(ctx, i.w.Image)
	if err != nil {
		return nil, err
	}
	sw.lap("image")
	i.remember(func(m *memory) {
		m.Starts++
		m.Container = fmt.Sprintf("%s-%d", dirName(i.id), m.Starts)
	})
	id := i.mem.Container
	place, err := i.e.cfg.Network.Attach(ctx, endpointMark+id, network.Options{Internet: i.w.Internet})
	if err != nil {
		return nil, err
	}
	i.remember(func(m *memory) {
		m.Address = addrPort(place.Address, i.w.Port)
	})
	sw.lap("network")
	return i.create(ctx, id, img, place, sw)
}

func (i *instance) create(ctx context.Context, id string, img *imageInfo, place network.Endpoint, sw *stopwatch) (*running, error) {
	e := i.e
	if err := e.prepare(ctx, id, img); err != nil {
		return nil, fmt.Errorf("prepare snapshot: %w", err)
	}
	sw.lap("snapshot")
	spec, err := i.spec(ctx, id, img, place)
	if err != nil {
		return nil, err
	}
	c, err := e.containerd().NewContainer(ctx, id, e.runtime(), client.WithSpec(spec), client.WithContainerLabels(map[string]string{
		labelPlatform: e.cfg.ID, labelInstance: i.id}), func(_ context.Context, _ *client.Client, c *containers.Container) error {
		c.Snapshotter, c.SnapshotKey, c.Image = snapshotter, id, img.name
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("create container: %w", err)
	}
	sw.lap("container")
	i.say("Starting process with command " + strings.Join(quoteArgs(spec.Process.Args), " "))
	tail := e.tails.open(id, i)
	t, err := c.NewTask(ctx, fileIO{e.outputFile(id, "out"), e.outputFile(id, "err")}.create)
	if err != nil {
		return nil, startError("create task", err, spec)
	}
	sw.lap("task")
	if err := t.Start(ctx); err != nil {
		return nil, startError("start task", err, spec)
	}
	sw.lap("start")
	return &running{container: id, pid: int(t.Pid()), tail: tail, watch: sw}, nil
}

// startError says what a person can act on in an error of the runtime.
func startError(doing string, err error, spec *specs.Spec) error {
	text := err.Error()
	if unavailable(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	command := spec.Process.Args[0]
	for _, known := range [][2]string{
		{"executable file not found", "the command " + command + " is not in the image"},
		{"no such file or directory", "the command " + command + " is not in the image, or its interpreter is missing"},
		{"permission denied", "the command " + command + " is not executable"},
		{"exec format error", "the command " + command + " is not a program for this machine"},
	} {
		if _, at, ok := strings.Cut(text, "exec"); ok && strings.Contains(at, known[0]) && !strings.Contains(text, "rootfs") {
			return &stead.Error{Kind: stead.KindInvalid, Msg: known[1], Hint: "check the Procfile and the image", Err: err}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// prepare makes the container's file system. The label keeps it from garbage
// collection until it is removed by name, without the cost of a lease.
func (e *Engine) prepare(ctx context.Context, id string, img *imageInfo) error {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: e.cfg.Network.UIDBase(), Size: network.UIDCount}}
	s := e.containerd().SnapshotService(snapshotter)
	labels := snapshots.WithLabels(map[string]string{"containerd.io/gc.root": time.Now().UTC().Format(time.RFC3339), labelPlatform: e.cfg.ID})
	remap := client.WithUserNSRemapperLabels(ids, ids)
	_, err := s.Prepare(ctx, id, img.chain, labels, remap)
	if errdefs.IsNotFound(err) {
		e.images.Delete(img.name) // collected behind our back: the next start pulls it again
		return stead.Unavailable("the image's files are being fetched again", "wait a moment", err)
	}
	return err
}

func (e *Engine) runtime() client.NewContainerOpts {
	return client.WithRuntime("io.containerd.runc.v2", &options.Options{BinaryName: filepath.Join(e.cfg.BinDir, "runc"),
		Root: filepath.Join(e.cfg.RunDir, "runc"), IoUid: e.cfg.Network.UIDBase(), IoGid: e.cfg.Network.UIDBase()})
}

// dropTask removes a task that ended, and waits until its output is written.
func (e *Engine) dropTask(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if t, err := e.task(ctx, id); err == nil {
		if _, err := t.Delete(ctx, client.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			e.log.Warn("task not removed", "container", id, "error", err)
		}
	}
}

// clear removes every trace of a container, whatever there is.
func (e *Engine) clear(ctx context.Context, id string) {
	e.dropTask(ctx, id)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c := e.containerd()
	if err := c.ContainerService().Delete(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		e.log.Warn("container not removed", "container", id, "error", err)
	}
	if err := c.SnapshotService(snapshotter).Remove(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		e.log.Warn("snapshot not removed", "container", id, "error", err)
	}
	if err := e.cfg.Network.Detach(ctx, endpointMark+id); err != nil {
		e.log.Warn("endpoint not removed", "container", id, "error", err)
	}
	for _, dir := range []string{"files", "output"} {
		if err := os.RemoveAll(e.cfg.path(dir, id)); err != nil {
			e.log.Warn("directory not removed", "container", id, "error", err)
		}
	}
}

func (e *Engine) outputFile(id, kind string) string { return e.cfg.path("output", id, kind) }

// fileIO has the shim write to files, and needs nobody to copy.
type fileIO struct{ out, err string }

func (f fileIO) create(string) (cio.IO, error) { return f, nil }

// Config implements cio.IO.
func (f fileIO) Config() cio.Config { return cio.Config{Stdout: f.out, Stderr: f.err} }

// Cancel implements cio.IO.
func (fileIO) Cancel() {}

// Wait implements cio.IO.
func (fileIO) Wait() {}

// Close implements cio.IO.
func (fileIO) Close() error { return nil }

func quoteArgs(args []string) []string {
	out := make([]string, len(args))
	for n, a := range args {
		out[n] = a
		if strings.ContainsAny(a, " \t\n'\"") {
			out[n] = "`" + a + "`"
		}
	}
	return out
}
