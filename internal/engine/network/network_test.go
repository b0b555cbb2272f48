package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root")
	}
	t.Skip("this test needs root")
}

func open(t *testing.T, cfg Config) *Network {
	t.Helper()
	needRoot(t)
	if cfg.ID == "" {
		var b [3]byte
		_, _ = rand.Read(b[:])
		cfg.ID = hex.EncodeToString(b[:])
	}
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	n, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func attach(t *testing.T, n *Network, name string, o Options) Endpoint {
	t.Helper()
	e, err := n.Attach(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// in runs f inside the endpoint.
func in(t *testing.T, e Endpoint, f func() error) error {
	t.Helper()
	ns, err := os.Open(e.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	return within(ns, f)
}

func serve(t *testing.T, e *Endpoint, addr string) {
	t.Helper()
	var l net.Listener
	listen := func() (err error) { l, err = net.Listen("tcp4", addr); return err }
	var err error
	if e == nil {
		err = listen()
	} else {
		err = in(t, *e, listen)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

func dial(addr string) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp4", addr, 400*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	}
}

func TestReach(t *testing.T) {
	n := open(t, Config{})
	host := netip.AddrPortFrom(n.Gateway(), 18080)
	a := attach(t, n, "a", Options{Internet: true, HostPorts: []uint16{host.Port()}})
	b := attach(t, n, "b", Options{})
	serve(t, &b, b.Address.String()+":5000")
	serve(t, nil, host.String())
	serve(t, nil, n.Gateway().String()+":18081")
	otherIP := "127.0.0.1"
	for _, addr := range hostAddrs(t, n) {
		otherIP = addr
		serve(t, nil, addr+":18082")
	}
	cases := []struct {
		name, addr string
		from       *Endpoint
		ok         bool
	}{
		{"host to instance", b.Address.String() + ":5000", nil, true},
		{"instance to instance", b.Address.String() + ":5000", &a, false},
		{"instance to allowed host port", host.String(), &a, true},
		{"instance without leave to host port", host.String(), &b, false},
		{"instance to other host port", n.Gateway().String() + ":18081", &a, false},
		{"instance to another address of the host", otherIP + ":18082", &a, false},
		{"instance to metadata", "169.254.169.254:80", &a, false},
	}
	for _, c := range cases {
		err := dial(c.addr)()
		if c.from != nil {
			err = in(t, *c.from, dial(c.addr))
		}
		if (err == nil) != c.ok {
			t.Errorf("%s (%s): got %v, want reachable %v", c.name, c.addr, err, c.ok)
		}
	}
}

func hostAddrs(t *testing.T, n *Network) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && p.Addr() != n.Gateway() && len(out) == 0 {
			out = append(out, p.Addr().String())
		}
	}
	return out
}

// An outside world in another platform's endpoint: a public address, a private
// one and the metadata address answer there, so that only rules can refuse.
func TestPublicOnly(t *testing.T) {
	n := open(t, Config{})
	with := attach(t, n, "with", Options{Internet: true})
	without := attach(t, n, "without", Options{})
	world := newWorld(t)
	for _, addr := range []string{world.public, world.private, world.metadata} {
		err := dial(addr + ":80")()
		for n := 0; err != nil && n < 10; n++ { // a fresh link may take a second
			err = dial(addr + ":80")()
		}
		if err != nil {
			t.Fatalf("the host itself cannot reach %s: %v", addr, err)
		}
	}
	if err := in(t, with, dial(world.public+":80")); err != nil {
		t.Errorf("public address refused: %v", err)
	}
	for _, addr := range []string{world.private, world.metadata} {
		if in(t, with, dial(addr+":80")) == nil {
			t.Errorf("%s reached", addr)
		}
	}
	if in(t, without, dial(world.public+":80")) == nil {
		t.Error("public address reached without leave")
	}
}

func TestAdoptAndPrepare(t *testing.T) {
	dir := t.TempDir()
	n := open(t, Config{StateDir: dir})
	if err := n.Prepare(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	a := attach(t, n, "a", Options{Internet: true})
	if n.spare() != 1 {
		t.Fatalf("spare = %d, want 1", n.spare())
	}
	serve(t, &a, ":5000")
	again := open(t, Config{ID: n.cfg.ID, StateDir: dir})
	if got := attach(t, again, "a", Options{}); got.Address != a.Address {
		t.Fatalf("adopted %s, want %s", got.Address, a.Address)
	}
	if err := dial(a.Address.String() + ":5000")(); err != nil {
		t.Fatal(err)
	}
	if err := again.Detach(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if b := attach(t, again, "b", Options{}); b.Address == a.Address {
		t.Fatal("an address was used again at once")
	}
	if got := again.Names(); len(got) != 1 || got[0] != "b" {
		t.Fatalf("names = %v", got)
	}
}

func TestSideBySide(t *testing.T) {
	a, b := open(t, Config{}), open(t, Config{})
	if a.Subnet().Overlaps(b.Subnet()) {
		t.Fatalf("%s and %s overlap", a.Subnet(), b.Subnet())
	}
	x, y := attach(t, a, "x", Options{Internet: true}), attach(t, b, "y", Options{})
	serve(t, &y, ":5000")
	if in(t, x, dial(y.Address.String()+":5000")) == nil {
		t.Error("an instance reached another platform's")
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	n := open(t, Config{})
	attach(t, n, "a", Options{Internet: true, HostPorts: []uint16{1}})
	if err := n.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), n.cfg.StateDir) {
		t.Error("a mount is left")
	}
	links, _ := os.ReadDir("/sys/class/net")
	for _, l := range links {
		if strings.Contains(l.Name(), n.cfg.ID) {
			t.Errorf("link %s is left", l.Name())
		}
	}
}
