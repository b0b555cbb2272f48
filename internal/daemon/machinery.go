package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/buildkit"
	buildfake "github.com/steadpaas/stead/internal/build/fake"
	"github.com/steadpaas/stead/internal/build/image"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/containerd"
	"github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/ingress/registry"
	"github.com/steadpaas/stead/internal/logs"
)

// registryPort is where the platform's own registry listens, on the gateway of
// the instances' network: the build daemon and the engine reach it there.
const registryPort = 5000

// buildEndpoint names the build daemon's place in the network.
const buildEndpoint = "build"

// machinery is what runs and builds: the real thing, or the one in memory.
type machinery struct {
	engines  map[string]engine.Engine
	builder  build.Builder
	registry http.Handler // nil: none
	listener net.Listener // of the registry, for the platform's own parts
	subnet   netip.Prefix // of the instances; zero: none
	ready    func(context.Context) error
}

func (c Config) openMachinery(ctx context.Context, h *house) (machinery, error) {
	if c.Engine == "fake" {
		e := fake.New(h.logs, h.log)
		h.closers = append(h.closers, e.Close)
		return machinery{engines: map[string]engine.Engine{stead.DefaultName: e}, builder: buildfake.New(),
			ready: func(context.Context) error { return nil }}, nil
	}
	return c.openReal(ctx, h)
}

func (c Config) openReal(ctx context.Context, h *house) (machinery, error) {
	c.setPhase("making the network")
	n, err := c.openNetwork(ctx, h.log)
	if err != nil {
		return machinery{}, err
	}
	password, err := internalSecret(c.path("registry.secret"))
	if err != nil {
		return machinery{}, err
	}
	reg, err := registry.Open(ctx, registry.Config{Dir: c.path("registry"), Secret: password, Authorize: h.authorize, OnPush: h.imagePushed}, h.log)
	if err != nil {
		return machinery{}, err
	}
	h.closers = append(h.closers, reg.Close)
	host := net.JoinHostPort(n.Gateway().String(), strconv.Itoa(registryPort))
	l, err := listenSoon(host)
	if err != nil {
		return machinery{}, err
	}
	c.setPhase("starting the engine")
	e, err := containerd.Open(ctx, c.engineConfig(n, host, password, h), h.log)
	if err != nil {
		return machinery{}, err
	}
	if err := e.Check(ctx); err != nil {
		return machinery{}, err
	}
	b, err := c.openBuilder(ctx, n, reg, host, password, h.log)
	if err != nil {
		return machinery{}, err
	}
	h.loops = append(h.loops, e.Run, b.Run)
	ready := func(ctx context.Context) error {
		c.setPhase("making the base image, if there is none yet (a minute or two)")
		if err := b.Ready(ctx); err != nil {
			return err
		}
		if err := b.Warm(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("base images not made; the next build tries again", "err", err)
		}
		return nil
	}
	return machinery{engines: map[string]engine.Engine{stead.DefaultName: e}, builder: builder{b, reg, h.sources}, registry: reg.Handler(), listener: l, subnet: n.Subnet(), ready: ready}, nil
}

func (c Config) openNetwork(ctx context.Context, log *slog.Logger) (*network.Network, error) {
	subnets, err := c.prefixes()
	if err != nil {
		return nil, err
	}
	return network.Open(ctx, network.Config{ID: c.id(), Subnets: subnets, StateDir: c.path("network")}, log)
}

func (c Config) engineConfig(n *network.Network, host, password string, h *house) containerd.Config {
	cfg := containerd.Config{ID: c.id(), Dir: c.path("engine"), BinDir: c.binDir(), Address: c.Containerd, Network: n, Logs: h.logs,
		Registry: containerd.Registry{Host: host, User: "stead", Password: password}}
	if h.keys != nil {
		cfg.Sealer = h.keys
	}
	return cfg
}

func (c Config) openBuilder(ctx context.Context, n *network.Network, reg *registry.Registry, host, password string, log *slog.Logger) (*buildkit.Builder, error) {
	ep, err := n.Attach(ctx, buildEndpoint, network.Options{Internet: true, HostPorts: []uint16{registryPort}})
	if err != nil {
		return nil, err
	}
	return buildkit.Open(ctx, buildkit.Config{Dir: c.path("build"), Bin: c.binDir(), Cgroup: "stead-" + c.id(),
		NetNS: ep.NetNS, Resolvers: ep.Resolvers,
		Registry: image.Registry{Host: host, User: "stead", Password: password}, StackCache: c.StackCache, Parallel: c.Builds, Limits: c.buildLimits(), Remotes: c.registries(), Mirrors: c.mirrors(),
		Credential: func(repository string, until time.Time) (string, string) {
			return "build", reg.BuildPassword(repository, until)
		}}, log)
}

func (c Config) buildLimits() build.Limits {
	l := buildkit.DefaultLimits()
	l.Memory = int64(c.BuildMem) << 20 / int64(c.Builds)
	return l
}

func (c Config) binDir() string {
	if c.BinDir != "" {
		return c.BinDir
	}
	exe, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(exe)
}

// authorize decides about people at the registry: any user name, a token.
func (h *house) authorize(ctx context.Context, _, password, repository string, push bool) (context.Context, stead.App, error) {
	actor, err := h.p.Authenticate(ctx, password)
	if err != nil {
		return ctx, stead.App{}, err
	}
	ctx = stead.WithActor(ctx, actor)
	app, err := h.p.AuthorizeRepository(ctx, repository, push)
	return ctx, app, err
}

// imagePushed deploys what a person pushed with docker push.
func (h *house) imagePushed(ctx context.Context, app stead.App, ref string) error {
	_, err := h.p.Push(ctx, string(app.ID), stead.Source{Kind: stead.SourceImage, Image: ref})
	return err
}

// sourceAge is how long an uploaded source is kept at least.
const sourceAge = 24 * time.Hour

// collector is what of the machinery keeps to a budget of its own.
type collector interface {
	Collect(ctx context.Context, keep []string) (int64, error)
}

// sourceCollector is the same for sources.
type sourceCollector interface {
	Collect(keep []string, age time.Duration) (int64, error)
}

// builder collects the registry and the sources together with its own cache.
type builder struct {
	*buildkit.Builder
	registry collector
	sources  sourceCollector
}

// Collect implements build.Collector.
func (b builder) Collect(ctx context.Context, keep []string) (freed int64, err error) {
	for _, collect := range []func() (int64, error){
		func() (int64, error) { return b.Builder.Collect(ctx, keep) },
		func() (int64, error) { return b.registry.Collect(ctx, keep) },
		func() (int64, error) { return b.sources.Collect(nil, sourceAge) },
	} {
		n, cerr := collect()
		freed, err = freed+n, errors.Join(err, cerr)
	}
	return freed, err
}

// removeMachinery removes instances, engine, build daemon and network.
func (c Config) removeMachinery(ctx context.Context, log *slog.Logger) error {
	return c.withMachinery(ctx, log, func(ctx context.Context, n *network.Network, e *containerd.Engine, b *buildkit.Builder) error {
		return errors.Join(e.Remove(ctx), b.Remove(ctx), n.Remove(ctx))
	})
}

func (c Config) withMachinery(ctx context.Context, log *slog.Logger, f func(context.Context, *network.Network, *containerd.Engine, *buildkit.Builder) error) error {
	h := &house{c: c, log: log}
	defer h.close()
	var err error
	if h.logs, err = logs.Open(c.path("logs"), logs.Limits{}, log); err != nil {
		return err
	}
	h.closers = append(h.closers, h.logs.Close)
	n, err := c.openNetwork(ctx, log)
	if err != nil {
		return err
	}
	e, err := containerd.Open(ctx, c.engineConfig(n, "", "", h), log)
	if err != nil {
		return fmt.Errorf("open the engine to stop it: %w", err)
	}
	b, err := c.openBuilder(ctx, n, nil, "", "", log)
	if err != nil {
		return fmt.Errorf("open the build daemon to stop it: %w", err)
	}
	return f(ctx, n, e, b)
}
