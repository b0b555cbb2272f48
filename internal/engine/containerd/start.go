package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	api "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/runc/options"
	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine/network"
	"golang.org/x/sync/errgroup"
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
	var files rootfs
	preparing, pctx := errgroup.WithContext(ctx) // beside all that does not need the files
	preparing.Go(func() (err error) {
		files, err = i.e.prepare(pctx, id, img)
		return err
	})
	spec, err := i.describe(ctx, id, img, preparing.Wait, sw)
	if err := errors.Join(preparing.Wait(), err); err != nil {
		return nil, err
	}
	sw.lap("snapshot")
	return i.launch(ctx, id, spec, files, sw)
}

// describe finds a place in the network for the container and records it.
// files returns when the image's files can be read.
func (i *instance) describe(ctx context.Context, id string, img *imageInfo, files func() error, sw *stopwatch) (*specs.Spec, error) {
	place, err := i.e.cfg.Network.Attach(ctx, endpointMark+id, network.Options{Internet: i.w.Internet})
	if err != nil {
		return nil, err
	}
	i.remember(func(m *memory) {
		m.Address = addrPort(place.Address, i.w.Port)
	})
	sw.lap("network")
	if img.namesUser() && files() != nil {
		return nil, nil // the caller knows why
	}
	spec, err := i.spec(ctx, id, img, place)
	if err != nil {
		return nil, err
	}
	if err := i.e.record(ctx, id, i.id, img, spec); err != nil {
		return nil, fmt.Errorf("create container: %w", err)
	}
	sw.lap("container")
	return spec, nil
}

// launch makes the process and lets it go.
func (i *instance) launch(ctx context.Context, id string, spec *specs.Spec, files rootfs, sw *stopwatch) (*running, error) {
	e := i.e
	i.say("Starting process with command " + strings.Join(quoteArgs(spec.Process.Args), " "))
	tail := e.tails.open(id, i)
	tasks := e.containerd().TaskService()
	made, err := tasks.Create(ctx, &api.CreateTaskRequest{ContainerID: id, Rootfs: files, Stdout: e.outputFile(id, "out"), Stderr: e.outputFile(id, "err")})
	if err != nil {
		return nil, startError("create task", errgrpc.ToNative(err), spec)
	}
	sw.lap("task")
	if _, err := tasks.Start(ctx, &api.StartRequest{ContainerID: id}); err != nil {
		return nil, startError("start task", errgrpc.ToNative(err), spec)
	}
	sw.lap("start")
	return &running{container: id, pid: int(made.Pid), tail: tail, watch: sw}, nil
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

// rootfs is how a container's file system is mounted.
type rootfs []*types.Mount

// prepare makes the container's file system. The label keeps it from garbage
// collection until it is removed by name, without the cost of a lease.
func (e *Engine) prepare(ctx context.Context, id string, img *imageInfo) (rootfs, error) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: e.cfg.Network.UIDBase(), Size: network.UIDCount}}
	s := e.containerd().SnapshotService(snapshotter)
	labels := snapshots.WithLabels(map[string]string{"containerd.io/gc.root": time.Now().UTC().Format(time.RFC3339), labelPlatform: e.cfg.ID})
	mounts, err := s.Prepare(ctx, id, img.chain, labels, client.WithUserNSRemapperLabels(ids, ids))
	if errdefs.IsNotFound(err) {
		e.images.Delete(img.name) // collected behind our back: the next start pulls it again
		return nil, stead.Unavailable("the image's files are being fetched again", "wait a moment", err)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare snapshot: %w", err)
	}
	var files rootfs
	for _, m := range mounts {
		files = append(files, &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	return files, nil
}

// record tells containerd of the container. The snapshot may come later, and
// has a label of its own against collection, so that no lease is needed.
func (e *Engine) record(ctx context.Context, id, instance string, img *imageInfo, spec *specs.Spec) error {
	c := containers.Container{ID: id, Image: img.name, Snapshotter: snapshotter, SnapshotKey: id,
		Labels: map[string]string{labelPlatform: e.cfg.ID, labelInstance: instance}}
	o, err := typeurl.MarshalAny(&options.Options{BinaryName: filepath.Join(e.cfg.BinDir, "runc"),
		Root: filepath.Join(e.cfg.RunDir, "runc"), IoUid: e.cfg.Network.UIDBase(), IoGid: e.cfg.Network.UIDBase()})
	if err != nil {
		return err
	}
	c.Runtime = containers.RuntimeInfo{Name: e.cfg.runtime(), Options: o}
	if c.Spec, err = typeurl.MarshalAny(spec); err != nil {
		return err
	}
	_, err = e.containerd().ContainerService().Create(ctx, c)
	return err
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
	for _, path := range []string{e.cfg.path("files", id), e.cfg.path("output", id), e.envFile(id)} {
		if err := os.RemoveAll(path); err != nil {
			e.log.Warn("files not removed", "container", id, "error", err)
		}
	}
}

func (e *Engine) outputFile(id, kind string) string { return e.cfg.path("output", id, kind) }

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
