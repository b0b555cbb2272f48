package containerd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/enginetest"
	"github.com/steadpaas/stead/internal/engine/network"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/secret"
)

// opened is an engine that runs.
type opened struct {
	*Engine
	end func() // ends Run, and leaves all else
}

// machine is what engines of one test run share.
type machine struct {
	hold     string
	registry *httptest.Server
	image    string
	engines  sync.Map // engine.Engine → *opened
	newest   sync.Map // platform's id → *opened
}

func testMachine(t testing.TB) *machine {
	t.Helper()
	if why := missing(); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	m := &machine{}
	dir := shortDir(t)
	program, err := enginetest.BuildTestApp(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	m.hold = program
	m.registry = httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(m.registry.Close)
	img, err := enginetest.TestImage(program)
	if err != nil {
		t.Fatal(err)
	}
	m.image, err = enginetest.PushTestImage(t.Context(), m.host(), "apps/test", img)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func missing() string {
	if os.Geteuid() != 0 {
		return "this test needs root"
	}
	for _, part := range []string{"containerd", "containerd-shim-runc-v2", "containerd-shim-stead-v1", "runc"} {
		if _, err := os.Stat(filepath.Join(binDir(), part)); err != nil {
			return "this test needs " + part + " in bin; run make build"
		}
	}
	return ""
}

func binDir() string {
	dir, _ := filepath.Abs("../../../bin")
	return dir
}

func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // root of the instances must get through
		t.Fatal(err)
	}
	return dir
}

func (m *machine) host() string { return strings.TrimPrefix(m.registry.URL, "http://") }

func (m *machine) open(t testing.TB, cfg Config) *opened {
	t.Helper()
	net, err := network.Open(t.Context(), network.Config{ID: cfg.ID, StateDir: filepath.Join(filepath.Dir(cfg.Dir), "net")}, testLog())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Network = net
	e, err := Open(t.Context(), cfg, testLog())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	o := &opened{Engine: e, end: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
	m.engines.Store(engine.Engine(e), o)
	m.newest.Store(cfg.ID, o)
	select {
	case <-e.ready:
	case <-time.After(20 * time.Second):
		o.end()
		t.Fatal("the engine did not become ready")
	}
	return o
}

// fresh opens an engine that is removed with the test, and checks that nothing
// of it is left.
func (m *machine) fresh(t testing.TB, lines logs.Appender) *opened {
	t.Helper()
	return m.freshAt(t, lines, "")
}

// freshAt does it in the containerd at the address; empty: one of its own.
func (m *machine) freshAt(t testing.TB, lines logs.Appender, address string) *opened {
	t.Helper()
	var b [3]byte
	_, _ = rand.Read(b[:])
	id, dir := hex.EncodeToString(b[:]), shortDir(t)
	cfg := Config{ID: id, Address: address, Dir: filepath.Join(dir, "engine"), RunDir: filepath.Join(dir, "r"), BinDir: binDir(), Logs: lines,
		Registry: Registry{Host: m.host()}, Sealer: testSealer(t), Hold: []string{m.hold, "sleep", "100000"}}
	o := m.open(t, cfg)
	t.Cleanup(func() { m.remove(t, cfg.ID) })
	return o
}

// remove purges the platform's newest engine.
func (m *machine) remove(t testing.TB, id string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, _ := m.newest.Load(id)
	o := v.(*opened)
	o.end()
	if err := o.Remove(ctx); err != nil {
		t.Errorf("remove: %v", err)
	}
	if err := o.cfg.Network.Remove(ctx); err != nil {
		t.Errorf("remove network: %v", err)
	}
	checkNothingLeft(t, id)
}

func testSealer(t testing.TB) Sealer {
	t.Helper()
	ring, err := secret.OpenKeyRing(filepath.Join(shortDir(t), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func checkNothingLeft(t testing.TB, id string) {
	t.Helper()
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "stead-"+id) {
			t.Errorf("a mount is left: %s", line)
		}
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/*/stead-" + id)
	links, _ := filepath.Glob("/sys/class/net/*" + id + "*")
	for _, l := range append(left, links...) {
		t.Errorf("%s is left", l)
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if data, _ := os.ReadFile(p); strings.Contains(string(data), "stead-"+id) {
			t.Errorf("a process is left: %q", data)
		}
	}
}

func (m *machine) reopen(t *testing.T, old engine.Engine, lines *logs.Store) engine.Engine {
	v, _ := m.engines.Load(old)
	o := v.(*opened)
	o.end()
	cfg := o.cfg
	cfg.Logs = appOnly{lines}
	return m.open(t, cfg).Engine
}

// appOnly leaves the platform's own lines out, which the suite does not expect.
type appOnly struct{ *logs.Store }

func (a appOnly) Append(ctx context.Context, stream string, lines ...logs.Line) error {
	lines = slices.DeleteFunc(lines, func(l logs.Line) bool { return l.Source != "app" })
	if len(lines) == 0 {
		return nil
	}
	return a.Store.Append(ctx, stream, lines...)
}

func TestConformance(t *testing.T) {
	m := testMachine(t)
	enginetest.Run(t, enginetest.Harness{Real: true, Image: m.image,
		New:    func(t *testing.T, lines *logs.Store) engine.Engine { return m.fresh(t, appOnly{lines}).Engine },
		Reopen: m.reopen})
}

func testLog() *slog.Logger {
	if os.Getenv("STEAD_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}
