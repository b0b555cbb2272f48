package route

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/steadpaas/stead"
)

const maxHolding = 10_000 // requests that wait for an instance, over all apps

// Limits are the router's time-outs. Zero fields take the defaults.
type Limits struct {
	Head      time.Duration // for a request's head; 10 s
	KeepAlive time.Duration // of an idle client connection; 75 s
	Connect   time.Duration // to an instance; 5 s (H19)
	FirstByte time.Duration // of an answer; 30 s (H12)
	Stream    time.Duration // without a byte either way; 55 s (H15, H28)
	Boot      time.Duration // that a request is held while no instance is there; 10 s (H20)
	Wake      time.Duration // that a request is held while its app wakes; 30 s (H20)
	Sweep     time.Duration // how often time-outs are looked at; 1 s
}

func (l Limits) orDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Head, 10*time.Second)
	set(&l.KeepAlive, 75*time.Second)
	set(&l.Connect, 5*time.Second)
	set(&l.FirstByte, 30*time.Second)
	set(&l.Stream, 55*time.Second)
	set(&l.Boot, 10*time.Second)
	set(&l.Wake, 30*time.Second)
	set(&l.Sweep, time.Second)
	return l
}

// Stats is what the router counts since its start, and what it holds now.
type Stats struct {
	Version     int64  `json:"version"` // of the served table
	Routes      int    `json:"routes"`
	Backends    int    `json:"backends"`
	Connections int64  `json:"connections"`
	Inflight    int64  `json:"inflight"`
	Sockets     int64  `json:"sockets"` // upgraded connections
	Requests    int64  `json:"requests"`
	Faults      int64  `json:"faults"`  // requests that ended with a code
	Refused     int64  `json:"refused"` // what was no valid request
	Dropped     int64  `json:"dropped"` // access lines nobody read in time
	Digest      string `json:"digest"`  // of the served Certificates; "": none yet
}

type counters struct {
	conns, sockets, requests, faults, refused atomic.Int64
}

// core is the running router without its listeners.
type core struct {
	limits   Limits
	trusted  []netip.Prefix
	maxConns int64
	log      *slog.Logger
	table    atomic.Pointer[lookup]
	shelf    atomic.Pointer[shelf]
	tlsPort  string // of the TLS listener; "": none
	lines    *ring
	count    counters
	holding  atomic.Int64
	wants    *wants
	draining atomic.Bool
	stopped  chan struct{} // closed with draining

	mu       sync.Mutex // publish
	backends map[string]*backend
	leaving  map[*backend]struct{}

	shards [16]shard
	next   atomic.Uint32
}

type shard struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newCore(cfg Config) *core {
	k := &core{limits: cfg.Limits.orDefaults(), trusted: cfg.Trusted, maxConns: int64(cfg.MaxConns), log: cfg.Log,
		lines: newRing(8192), wants: newWants(), stopped: make(chan struct{}), backends: map[string]*backend{}, leaving: map[*backend]struct{}{}}
	for i := range k.shards {
		k.shards[i].conns = map[*conn]struct{}{}
	}
	k.table.Store(&lookup{next: make(chan struct{}), limits: k.limits})
	bare, _ := newShelf(&Certificates{})
	k.shelf.Store(bare)
	return k
}

// publish serves t from now on. Backends that are no longer in it get nothing new.
func (k *core) publish(t *Table) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.table.Load()
	if t.Version < old.version {
		return stead.Conflict(fmt.Sprintf("table %d is older than table %d, which is served", t.Version, old.version), "make a table with a higher version")
	}
	fresh := make(map[string]*backend, len(k.backends))
	l, err := compile(t, old, func(b Backend) *backend { return k.keep(fresh, b) })
	if err != nil {
		return err
	}
	k.table.Store(l)
	close(old.next)
	for name, b := range k.backends {
		if fresh[name] != b {
			b.retire()
			k.leaving[b] = struct{}{}
		}
	}
	k.backends = fresh
	return nil
}

// keep returns the backend of the last table, or a new one.
func (k *core) keep(fresh map[string]*backend, b Backend) *backend {
	x := fresh[b.Instance]
	if x == nil {
		if x = k.backends[b.Instance]; x == nil || x.Backend != b {
			x = &backend{Backend: b}
		}
		fresh[b.Instance] = x
	}
	return x
}

// busy returns how many requests are in flight on the instances.
func (k *core) busy(instances map[string]bool) (n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for b := range k.leaving {
		if instances[b.Instance] {
			n += b.inflight.Load()
		}
	}
	for name := range instances {
		if b := k.backends[name]; b != nil {
			n += b.inflight.Load()
		}
	}
	return n
}

// drained waits until no request is in flight on the instances.
func (k *core) drained(ctx context.Context, instances []string) error {
	set := make(map[string]bool, len(instances))
	for _, i := range instances {
		set[i] = true
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for k.busy(set) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (k *core) stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.table.Load()
	s := Stats{Version: l.version, Routes: l.rules, Backends: len(k.backends), Connections: k.count.conns.Load(),
		Sockets: k.count.sockets.Load(), Requests: k.count.requests.Load(), Faults: k.count.faults.Load(),
		Refused: k.count.refused.Load(), Dropped: k.lines.drops(), Digest: k.shelf.Load().digest}
	for _, b := range k.backends {
		s.Inflight += b.inflight.Load()
	}
	for b := range k.leaving {
		s.Inflight += b.inflight.Load()
	}
	return s
}

// newConn makes the connection's state. under is the TCP connection below TLS.
func (k *core) newConn(nc, under net.Conn, secure bool) *conn {
	c := &conn{core: k, nc: nc, secure: secure, proto: "http", port: "80"}
	if secure {
		c.proto, c.port = "https", "443"
	}
	c.since.Store(now())
	if a, ok := addrPort(under.RemoteAddr()); ok {
		ip := a.Addr().Unmap()
		c.remote = ip.WithZone("").String()
		c.trust = k.trusts(ip)
	}
	if a, ok := addrPort(under.LocalAddr()); ok {
		c.port = strconv.Itoa(int(a.Port()))
	}
	if t, ok := under.(syscall.Conn); ok {
		c.peer, _ = t.SyscallConn()
		if !secure && nc == under {
			c.raw = c.peer
		}
	}
	return c
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort(), true
	}
	p, err := netip.ParseAddrPort(a.String())
	return p, err == nil
}

// ofStream makes the state of one request of an HTTP/2 connection.
func (c *conn) ofStream(s *h2Stream) *conn {
	x := &conn{core: c.core, nc: s, secure: c.secure, remote: c.remote, port: c.port, trust: c.trust, proto: "http2", single: true}
	x.since.Store(now())
	return x
}

// track registers a connection with the sweep; forget ends that.
func (k *core) track(c *conn) (forget func()) {
	s := &k.shards[k.next.Add(1)%uint32(len(k.shards))]
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}
}

// sweep keeps the time-outs of all connections until ctx ends.
func (k *core) sweep(ctx context.Context) {
	tick := time.NewTicker(k.limits.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.sweepConns()
			k.sweepBackends()
		}
	}
}

func (k *core) sweepConns() {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		at := now()
		for c := range s.conns {
			c.check(at, k.limits)
		}
		s.mu.Unlock()
	}
}

func (k *core) sweepBackends() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for b := range k.leaving {
		if b.inflight.Load() == 0 && b.sockets.Load() == 0 {
			delete(k.leaving, b)
		}
	}
	limit := now() - int64(idleLimit)
	for _, b := range k.backends {
		b.closeIdle(func(u *upstream) bool { return u.since < limit })
	}
}

// drainIdle is how long a connection must be idle to be closed while draining:
// closing one that was just used could meet its next request on the way.
const drainIdle = 2 * time.Second

// drain makes each connection end after its next answer, or when it is idle.
func (k *core) drain() {
	if !k.draining.Swap(true) {
		close(k.stopped)
	}
}
