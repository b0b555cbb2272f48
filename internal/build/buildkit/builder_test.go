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

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/image"
	"github.com/steadpaas/stead/internal/engine/network"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "sandbox" {
		fmt.Fprintln(os.Stderr, EnterMain(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
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
	cfg := Config{Dir: dir + "/build", Bin: bin, Cgroup: "stead-" + id, UserNS: ep.UserNS, NetNS: ep.NetNS, UIDBase: int(n.UIDBase()),
		Resolvers: ep.Resolvers, Registry: image.Registry{Host: fmt.Sprintf("%s:%d", n.Gateway(), port), User: "stead", Password: secret}}
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

var _ = stead.ID("")

func TestDaemonComesUp(t *testing.T) {
	m := open(t, http.NotFoundHandler(), nil)
	_ = m
}
