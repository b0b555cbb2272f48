package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
	_ "time/tzdata" // schedules have zones, also on machines without the list

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/api"
	"github.com/steadpaas/stead/internal/build/explain"
	"github.com/steadpaas/stead/internal/build/source"
	"github.com/steadpaas/stead/internal/compat/heroku"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/egress"
	"github.com/steadpaas/stead/internal/ingress/git"
	"github.com/steadpaas/stead/internal/ingress/ssh"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// dataEntries are the entries of the data directory.
var dataEntries = []string{"run", "stead.db", "stead.db-wal", "stead.db-shm", "keys", "logs", "sources", "git", "registry",
	"registry.secret", "network", "engine", "build", "router", "ssh_host_ed25519"}

// serve runs the control plane until ctx ends. What runs — instances, their
// engine, the router — goes on without it.
func serve(ctx context.Context, c Config, log *slog.Logger) (err error) {
	if err := c.makeDirs(); err != nil {
		return err
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	c.setPhase("opening the database")
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			c.setPhase("failed: " + err.Error())
		}
	}()
	h := &house{c: c, log: log}
	defer h.close()
	if err := h.open(ctx); err != nil {
		return err
	}
	return h.run(ctx)
}

// makeDirs makes the data directory. Instances, which are nobody on the host,
// pass through it to their files; what is not theirs is closed below it.
func (c Config) makeDirs() error {
	if err := os.MkdirAll(c.Data, 0o711); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := os.Chmod(c.Data, 0o711); err != nil {
		return fmt.Errorf("open the data directory's way through: %w", err)
	}
	if err := os.MkdirAll(c.path("run"), 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	return nil
}

// lock keeps a second control plane from the same data directory.
func (c Config) lock() (unlock func(), err error) {
	f, err := os.OpenFile(c.path("run", "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if time.Now().After(end) {
			_ = f.Close()
			return nil, stead.Conflict("another control plane runs in "+c.Data, "stop it (steadd stop), or choose another STEAD_DATA")
		}
	}
}

// house is the platform with its rooms open.
type house struct {
	c       Config
	log     *slog.Logger
	logs    *logs.Store
	store   *store.Store
	keys    *secret.KeyRing
	sources *source.Store
	m       machinery
	p       *platform.Platform
	router  *route.Client
	git     *git.Service
	certs   *converge.Certificates
	closers []func() error
	loops   []func(context.Context) error
}

func (h *house) close() {
	for i := len(h.closers) - 1; i >= 0; i-- {
		if err := h.closers[i](); err != nil {
			h.log.Warn("close failed", "err", err)
		}
	}
}

func (h *house) open(ctx context.Context) (err error) {
	c := h.c
	if h.logs, err = logs.Open(c.path("logs"), logs.Limits{}, h.log); err != nil {
		return err
	}
	h.closers = append(h.closers, h.logs.Close)
	if err := h.openState(ctx); err != nil {
		return err
	}
	h.sources = &source.Store{Dir: c.path("sources")}
	if h.m, err = c.openMachinery(ctx, h); err != nil {
		return err
	}
	explainer, err := explain.New(c.path("run", "explain"), source.Limits{Bytes: c.buildLimits().Source, Files: c.buildLimits().Files})
	if err != nil {
		return err
	}
	h.p = platform.New(platform.Deps{Store: h.store, Keys: h.keys, Logs: h.logs, Engines: h.m.engines, Sources: h.sources, Explainer: explainer,
		Settings: c.platformSettings(), Logger: h.log, Now: time.Now})
	h.router = route.Dial(c.routerSocket())
	h.checks()
	if h.git, err = git.New(h.p, git.Config{Dir: c.path("git"), Socket: c.path("run", "hook.sock"), Hook: c.hookCommand(), Logger: h.log}); err != nil {
		return err
	}
	loops := converge.New(converge.Deps{Platform: h.p, Engines: h.m.engines, Builder: h.m.builder, Sources: h.sources, Logs: h.logs,
		Router: h.router, Forget: h.forget, Logger: h.log, Settings: converge.Settings{Offline: c.Offline, Builds: c.Builds, AppURL: c.appURL, Limits: c.buildLimits(), Sizes: stead.Sizes()}})
	if h.certs, err = h.certificates(); err != nil {
		return err
	}
	guard, err := h.guard()
	if err != nil {
		return err
	}
	drains := &converge.Drains{Platform: h.p, Logs: h.logs, Guard: guard, Logger: h.log}
	sleep := &converge.Sleep{Platform: h.p, Router: h.router, Logs: h.logs, Logger: h.log}
	schedules := &converge.Schedules{Platform: h.p, Logger: h.log}
	h.loops = append(h.loops, loops.Run, h.git.Run, h.pumpLines, drains.Run, schedules.Run, sleep.Run, h.certs.Run)
	return nil
}

// guard decides which addresses drains and webhooks may call.
func (h *house) guard() (g egress.Guard, err error) {
	g.Allow, err = h.c.egressAllowed()
	if h.m.subnet.IsValid() {
		g.Deny = append(g.Deny, h.m.subnet)
	}
	return g, err
}

func (h *house) openState(ctx context.Context) (err error) {
	if h.store, err = store.Open(ctx, h.c.dsn()); err != nil {
		return err
	}
	h.closers = append(h.closers, h.store.Close)
	h.keys, err = secret.OpenKeyRing(h.c.path("keys"))
	return err
}

func (c Config) dsn() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite:" + c.path("stead.db")
}

func (c Config) platformSettings() platform.Settings {
	return platform.Settings{Domain: c.Domain, AppURL: c.appURL, APIURL: c.apiURL(), SSHHost: c.sshHost(), Registry: reachable(c.API),
		Sizes: stead.Sizes(), TokenTTL: 30 * 24 * time.Hour, Version: Version}
}

// run serves until ctx ends or a room fails.
func (h *house) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range h.loops {
		g.Go(func() error { return loop(ctx) })
	}
	mux := http.NewServeMux()
	mux.Handle("/", api.New(api.Config{Platform: h.p, Logger: h.log, Version: Version}))
	mux.Handle("/git/", h.git.Handler("/git"))
	mux.Handle(heroku.Prefix+"/", heroku.New(heroku.Config{Platform: h.p, URL: h.c.apiURL(), Logger: h.log}))
	if h.m.registry != nil {
		mux.Handle("/v2/", h.m.registry)
	}
	if err := h.listen(ctx, g, h.c.API, mux); err != nil {
		return err
	}
	if h.m.listener != nil {
		g.Go(func() error { return serveHTTP(ctx, h.m.listener, nil, h.m.registry) })
	}
	if err := h.serveSSH(ctx, g); err != nil {
		return err
	}
	g.Go(func() error {
		if err := h.m.ready(ctx); err != nil {
			return err
		}
		h.c.setPhase(phaseReady)
		h.log.Info("platform ready", "api", h.c.apiURL())
		return nil
	})
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (h *house) listen(ctx context.Context, g *errgroup.Group, addr string, handler http.Handler) error {
	l, err := listenSoon(addr)
	if err != nil {
		return err
	}
	g.Go(func() error { return serveHTTP(ctx, l, h.apiTLS(), handler) })
	return nil
}

// listenSoon waits a moment for an address that a predecessor is giving up.
func listenSoon(addr string) (net.Listener, error) {
	for end := time.Now().Add(3 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l, nil
		}
		if time.Now().After(end) {
			return nil, stead.Unavailable("cannot listen on "+addr, "end what uses that address, or choose another one in the settings", err)
		}
	}
}

// serveHTTP serves until ctx ends; streams end with it, short requests get a
// few seconds. secure nil: plain.
func serveHTTP(ctx context.Context, l net.Listener, secure *tls.Config, handler http.Handler) error {
	s := &http.Server{Handler: handler, TLSConfig: secure, ReadHeaderTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(sctx) != nil {
			_ = s.Close()
		}
	})
	serve := s.Serve
	if secure != nil {
		serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	err := serve(l)
	if !stop() {
		<-done
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (h *house) serveSSH(ctx context.Context, g *errgroup.Group) error {
	if h.c.SSH == "off" {
		return nil
	}
	srv, err := ssh.New(h.p, h.git, ssh.Config{HostKey: h.c.path("ssh_host_ed25519"), Logger: h.log})
	if err != nil {
		return err
	}
	l, err := listenSoon(h.c.SSH)
	if err != nil {
		return err
	}
	g.Go(func() error { return srv.Serve(ctx, l) })
	return nil
}

func (c Config) hookCommand() []string {
	exe, err := os.Executable()
	if err != nil {
		exe = "steadd"
	}
	return []string{exe, "git-hook"}
}

// forget removes what the rooms keep of a destroyed app.
func (h *house) forget(_ context.Context, app stead.ID) error { return h.git.Remove(app) }
