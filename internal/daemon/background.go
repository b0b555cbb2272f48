package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/supervise"
)

// Names of the platform's own processes; their pid files and logs are in
// <data>/run.
const (
	nameSupervisor = "supervisor"
	nameServe      = "serve"
	nameRouter     = "router"
)

// self describes a process of this program that runs in the background.
func (c Config) self(name, verb string) (supervise.Spec, error) {
	exe, err := os.Executable()
	if err != nil {
		return supervise.Spec{}, fmt.Errorf("find own program: %w", err)
	}
	return supervise.Spec{Name: name, Path: exe, Args: []string{verb}, Env: c.environment(), StateDir: c.path("run")}, nil
}

// environment hands the settings on, so that a child needs neither flags nor
// the settings file.
func (c Config) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "STEAD_") {
			env = append(env, kv)
		}
	}
	for _, s := range c.settings() {
		if v := s.Value.String(); v != "" {
			env = append(env, variable(s.Name)+"="+v)
		}
	}
	return env
}

// superviseAll keeps the control plane and the data plane running. When it
// ends, both go on.
// What runs of a program that was replaced since is upgraded; with renew,
// everything is.
func superviseAll(ctx context.Context, c Config, renew bool, log *slog.Logger) error {
	g, ctx := errgroup.WithContext(ctx)
	for name, verb := range map[string]string{nameServe: "serve", nameRouter: "router"} {
		spec, err := c.self(name, verb)
		if err != nil {
			return err
		}
		if spec.Upgrade = supervise.UpgradeChanged; renew {
			spec.Upgrade = supervise.UpgradeAlways
		}
		spec.TakeOver = name == nameRouter
		g.Go(func() error { return supervise.Run(ctx, spec, log) })
	}
	return g.Wait()
}

// startLimit bounds the wait of start; the first one bootstraps the base image.
const startLimit = 20 * time.Minute

// start brings the platform up in the background and waits until it is ready
// to take a push.
func start(ctx context.Context, c Config, errw io.Writer) error {
	if c.Engine == "containerd" && os.Geteuid() != 0 {
		return stead.Precondition("only root can make containers and their network", "run it as root, or try the API alone with --engine fake")
	}
	if err := c.makeDirs(); err != nil {
		return err
	}
	if strings.HasPrefix(c.phase(), "failed: ") {
		c.setPhase("starting")
	}
	spec, err := c.self(nameSupervisor, "supervise")
	if err != nil {
		return err
	}
	if pid, ok := supervise.Running(spec.StateDir, spec.Name); ok && supervise.Outdated(pid, spec.Path) {
		fmt.Fprintln(errw, "    the program has changed: upgrading")
		return c.replace(ctx, spec, errw)
	}
	if _, err := supervise.Start(spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return c.awaitReady(ctx, errw)
}

// upgrade has every process of the platform replaced by one of this program and
// these settings. The router hands its sockets over, so no request is lost.
func upgrade(ctx context.Context, c Config, errw io.Writer) error {
	spec, err := c.self(nameSupervisor, "supervise")
	if err != nil {
		return err
	}
	if _, ok := supervise.Running(spec.StateDir, spec.Name); !ok {
		return stead.Precondition("the platform in "+c.Data+" does not run", "start it: steadd start")
	}
	spec.Args = append(spec.Args, renewFlag)
	return c.replace(ctx, spec, errw)
}

const renewFlag = "--renew"

// replace starts the supervisor anew; it sees to the others.
func (c Config) replace(ctx context.Context, spec supervise.Spec, errw io.Writer) error {
	if err := supervise.Stop(ctx, spec.StateDir, spec.Name, 10*time.Second); err != nil {
		return err
	}
	was, _ := supervise.Running(spec.StateDir, nameServe)
	other := slices.Contains(spec.Args, renewFlag) || supervise.Outdated(was, spec.Path)
	c.setPhase("upgrading")
	if _, err := supervise.Start(spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if other {
		if err := c.awaitOther(ctx, nameServe, was); err != nil {
			return err
		}
	}
	return c.awaitReady(ctx, errw)
}

// awaitOther waits until a daemon's process is another one.
func (c Config) awaitOther(ctx context.Context, name string, was int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, ok := supervise.Running(c.path("run"), name); ok && pid != was {
			return nil
		}
		select {
		case <-ctx.Done():
			return stead.Unavailable("the platform's processes were not replaced", "read "+c.path("run", nameSupervisor+".log"), ctx.Err())
		case <-tick.C:
		}
	}
}

// awaitReady polls readyz and shows what the control plane is at.
func (c Config) awaitReady(ctx context.Context, errw io.Writer) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for shown := ""; ; {
		phase := c.phase()
		if phase == phaseReady && c.answers(ctx) {
			return nil
		}
		if phase != shown && phase != "" && phase != phaseReady {
			fmt.Fprintln(errw, "   ", phase)
			shown = phase
		}
		select {
		case <-ctx.Done():
			return stead.Unavailable("the platform did not become ready", "read "+c.path("run", nameServe+".log"), ctx.Err())
		case <-tick.C:
			if why, failed := c.startFailure(); failed {
				return stead.Unavailable("the platform does not start: "+why, "read "+c.path("run", nameServe+".log"), nil)
			}
		}
	}
}

func (c Config) answers(ctx context.Context) bool {
	scheme, t := "http", &http.Transport{DisableKeepAlives: true}
	if c.APITLS == "on" { // on this machine, and only whether it answers
		scheme, t.TLSClientConfig = "https", &tls.Config{InsecureSkipVerify: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+reachable(c.API)+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// The file <data>/run/phase says what the control plane is at while it starts.
const phaseReady = "ready"

func (c Config) setPhase(s string) {
	_ = os.WriteFile(c.path("run", "phase"), []byte(s+"\n"), 0o600)
}

func (c Config) phase() string {
	data, _ := os.ReadFile(c.path("run", "phase"))
	return strings.TrimSpace(string(data))
}

// startFailure reads why the control plane gave up.
func (c Config) startFailure() (string, bool) { return strings.CutPrefix(c.phase(), "failed: ") }

// halt ends the platform's own processes, the supervisor first, so that it does
// not start the others again.
func (c Config) halt(ctx context.Context) error {
	for _, name := range []string{nameSupervisor, nameServe, nameRouter} {
		if err := supervise.Stop(ctx, c.path("run"), name, 40*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the platform and its apps. Started again, everything comes back.
func stop(ctx context.Context, c Config, errw io.Writer) error {
	if err := c.halt(ctx); err != nil {
		return err
	}
	if c.Engine == "containerd" && c.made() {
		fmt.Fprintln(errw, "stopping the apps")
		if err := c.quiesce(ctx, logger(c, errw)); err != nil {
			return err
		}
	}
	fmt.Fprintln(errw, "Stead is stopped; its data is in", c.Data)
	return nil
}

// made reports whether the data directory was ever used.
func (c Config) made() bool {
	_, err := os.Stat(c.path("run"))
	return err == nil
}

// purge stops the platform and removes all of it.
func purge(ctx context.Context, c Config, errw io.Writer) error {
	if !c.made() {
		fmt.Fprintln(errw, "nothing of Stead is in", c.Data)
		return nil
	}
	if err := c.halt(ctx); err != nil {
		return err
	}
	if c.Engine == "containerd" {
		fmt.Fprintln(errw, "removing instances, network and build daemon")
		if err := c.removeMachinery(ctx, logger(c, errw)); err != nil {
			return err
		}
	}
	// Only what Stead makes goes: a data directory given by mistake keeps the rest.
	for _, name := range dataEntries {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return fmt.Errorf("remove %s: %w", c.path(name), err)
		}
	}
	if err := os.Remove(c.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		left, _ := filepath.Glob(c.path("*"))
		fmt.Fprintln(errw, "kept, because Stead did not make it:", strings.Join(left, " "))
	}
	fmt.Fprintln(errw, "Stead is gone from", c.Data)
	return nil
}

// removeCache removes the base images, which the platforms of a machine share,
// unless another one runs.
func (c Config) removeCache(errw io.Writer) error {
	programs, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, p := range programs {
		exe, err := os.Readlink(p)
		if err == nil && p != fmt.Sprintf("/proc/%d/exe", os.Getpid()) && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "steadd" {
			fmt.Fprintln(errw, "kept the base images in", c.StackCache, "because another platform runs")
			return nil
		}
	}
	made, err := filepath.Glob(filepath.Join(c.StackCache, "debian-*"))
	for _, name := range append(made, filepath.Join(c.StackCache, "lock")) {
		err = errors.Join(err, os.RemoveAll(name))
	}
	if err != nil {
		return fmt.Errorf("remove the base images: %w", err)
	}
	_ = os.Remove(c.StackCache) // unless something else is in it
	return nil
}
