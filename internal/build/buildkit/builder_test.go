package buildkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/steadpaas/stead/internal/build/image"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/ingress/registry"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "sandbox" {
		fmt.Fprintln(os.Stderr, EnterMain(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(run(m))
}

// stackCache keeps base images between tests; STEAD_STACK_CACHE between runs.
var stackCache = os.Getenv("STEAD_STACK_CACHE")

func run(m *testing.M) int {
	if stackCache == "" {
		dir, err := os.MkdirTemp("/tmp", "st")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		stackCache = dir
	}
	return m.Run()
}

// machine is a builder with its network and registry, for real.
type machine struct {
	*Builder
	network *network.Network
	port    uint16
}

// need skips the test where it cannot run, and fails it in CI.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("needs " + what)
}

func binDir(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(bin, "buildkitd"))
	need(t, os.Geteuid() == 0, "root")
	need(t, err == nil, "bin/buildkitd (make build)")
	return bin
}

func randomID(t *testing.T) string {
	t.Helper()
	var b [2]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return "b" + hex.EncodeToString(b[:])
}

// freePort finds a port of the gateway and serves h on it.
func serve(t *testing.T, n *network.Network, h http.Handler) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(n.Gateway().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// openWithRegistry is open with the platform's own registry.
func openWithRegistry(t *testing.T, change func(*Config)) *machine {
	t.Helper()
	return openWithMirror(t, http.NotFoundHandler(), change)
}

// openWithMirror serves a handler too, below /mirror/ of the registry's address.
func openWithMirror(t *testing.T, mirror http.Handler, change func(*Config)) *machine {
	t.Helper()
	binDir(t)
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r, err := registry.Open(context.Background(), registry.Config{Dir: dir, Secret: secret}, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	mux := http.NewServeMux()
	mux.Handle("/", r.Handler())
	mux.Handle("/mirror/", http.StripPrefix("/mirror", mirror))
	return open(t, mux, func(c *Config) {
		c.Credential = func(repository string, until time.Time) (string, string) {
			return registry.UserBuild, r.BuildPassword(repository, until)
		}
		if change != nil {
			change(c)
		}
	})
}

func open(t *testing.T, h http.Handler, change func(*Config)) *machine {
	t.Helper()
	bin := binDir(t)
	id := randomID(t)
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	n, err := network.Open(t.Context(), network.Config{ID: id, StateDir: dir + "/net"}, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Remove(context.Background()) })
	port := serve(t, n, h)
	ep, err := n.Attach(t.Context(), "builds", network.Options{Internet: true, HostPorts: []uint16{port}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: dir + "/build", Bin: bin, Cgroup: "stead-" + id, NetNS: ep.NetNS,
		Resolvers: ep.Resolvers, Registry: image.Registry{Host: fmt.Sprintf("%s:%d", n.Gateway(), port), User: "stead", Password: secret}}
	cfg.StackCache = stackCache
	if change != nil {
		change(&cfg)
	}
	b, err := Open(t.Context(), cfg, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(b.cfg.Dir, "buildkitd.log"))
			t.Logf("build daemon's log:\n%s", log)
		}
		if err := b.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	run, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(run) }()
	t.Cleanup(func() { stop(); <-done })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return &machine{Builder: b, network: n, port: port}
}

const secret = "a secret of the test's registry"

func TestDaemonComesUp(t *testing.T) {
	m := open(t, http.NotFoundHandler(), nil)
	_ = m
}
