package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/supervise"
)

// daemonConfig is the private containerd's configuration. It shares no path
// with another containerd of the machine.
func daemonConfig(c Config) ([]byte, error) {
	type table = map[string]any
	return toml.Marshal(table{
		"version": 4, "imports": []string{},
		"root": c.path("containerd"), "state": filepath.Join(c.RunDir, "state"),
		"disabled_plugins": []string{"io.containerd.nri.v1.nri", "io.containerd.internal.v1.restart", "io.containerd.snapshotter.v1.erofs",
			"io.containerd.snapshotter.v1.blockfile", "io.containerd.differ.v1.erofs", "io.containerd.image-verifier.v1.bindir",
			"io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"},
		"plugins": table{
			"io.containerd.server.v1.grpc":          table{"address": c.address()},
			"io.containerd.server.v1.ttrpc":         table{"address": c.address() + ".ttrpc"},
			"io.containerd.shim.v1.manager":         table{"socket_dir": filepath.Join(c.RunDir, "s")},
			"io.containerd.internal.v1.opt":         table{"path": c.path("opt")},
			"io.containerd.gc.v1.scheduler":         table{"startup_delay": "10s", "deletion_threshold": 50},
			"io.containerd.metadata.v1.bolt":        table{"content_sharing_policy": "shared"},
			"io.containerd.runtime.v2.task":         table{"platforms": []string{"linux/" + arch()}},
			"io.containerd.service.v1.diff-service": table{"default": []string{"walking"}},
		},
	})
}

// daemon describes the private containerd to its supervisor.
func (e *Engine) daemon() (supervise.Spec, error) {
	conf, err := daemonConfig(e.cfg)
	if err != nil {
		return supervise.Spec{}, fmt.Errorf("write containerd's configuration: %w", err)
	}
	for _, dir := range []string{e.cfg.path("containerd"), e.cfg.RunDir, filepath.Join(e.cfg.RunDir, "s")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return supervise.Spec{}, err
		}
	}
	file := e.cfg.path("containerd.toml")
	if err := writeFile(file, conf, false); err != nil {
		return supervise.Spec{}, err
	}
	return supervise.Spec{Name: "containerd", Path: filepath.Join(e.cfg.BinDir, "containerd"), Args: []string{"--config", file},
		Env: []string{"PATH=" + e.cfg.BinDir + ":/usr/sbin:/usr/bin:/sbin:/bin", "STEAD_WARM=" + e.cfg.warmDir()}, StateDir: e.cfg.Dir, Ready: e.serving}, nil
}

func (e *Engine) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := client.New(e.cfg.address(), client.WithTimeout(time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Version(ctx)
	return err
}

// connect returns a client once containerd serves. The client finds its way
// back by itself when containerd is started again.
func (e *Engine) connect(ctx context.Context) (*client.Client, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := e.serving(ctx)
		if err == nil {
			return client.New(e.cfg.address(), client.WithDefaultNamespace(e.cfg.namespace()), client.WithTimeout(10*time.Second))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reach containerd at %s: %w", e.cfg.address(), err)
		case <-tick.C:
		}
	}
}

// Check asks a containerd that is not ours whether it will do. One that does
// not answer yet is asked when Run has reached it.
func (e *Engine) Check(ctx context.Context) error {
	if e.cfg.Address == "" || e.serving(ctx) != nil {
		return nil
	}
	c, err := client.New(e.cfg.Address, client.WithTimeout(5*time.Second))
	if err != nil {
		return nil
	}
	defer c.Close()
	return e.able(ctx, c)
}

// able says what a containerd that is not ours lacks, before the first instance
// fails for it: an overlayfs that maps the owners of files, which came with 2.0.
func (e *Engine) able(ctx context.Context, c *client.Client) error {
	if e.cfg.Address == "" {
		return nil
	}
	v, err := c.Version(ctx)
	if err != nil {
		return fmt.Errorf("ask containerd at %s for its version: %w", e.cfg.Address, err)
	}
	plugins, err := c.IntrospectionService().Plugins(ctx, "type==io.containerd.snapshotter.v1,id==overlayfs")
	if err != nil {
		return fmt.Errorf("ask containerd at %s for its abilities: %w", e.cfg.Address, err)
	}
	for _, p := range plugins.Plugins {
		if slices.Contains(p.Capabilities, "remap-ids") && p.InitErr == nil {
			return nil
		}
	}
	return stead.Precondition("the containerd at "+e.cfg.Address+", version "+v.Version+", cannot map the owners of files for user namespaces",
		"use containerd 2.0 or newer on a kernel with idmapped overlayfs mounts (5.19), or leave --containerd out for Stead's own")
}
