package route

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxIdle     = 256              // idle connections kept to one instance
	idleLimit   = 45 * time.Second // an idle connection is closed after it
	freshLimit  = time.Second      // a request that cannot be repeated takes no connection idle for longer
	maxAttempts = 4                // backends tried for one request
)

// errRetired says that a backend left the table while it was connected to.
var errRetired = errors.New("the instance has left the table")

// backend is an instance while it is in a table, and after that until its last
// request has ended. Connections belong to it: they never serve another
// instance, even one that got the same address.
type backend struct {
	Backend
	inflight atomic.Int64 // requests
	sockets  atomic.Int64 // upgraded connections
	retired  atomic.Bool  // not in the served table
	ejected  atomic.Int64 // until (clock nanoseconds) it is the last choice; 0: it is well
	failures atomic.Int32 // ejections in a row
	broken   atomic.Int32 // connections in a row that ended without an answer
	gate     atomic.Pointer[gate]

	mu   sync.Mutex
	idle []*upstream // the most recently used last
}

// upstream is one connection to a backend.
type upstream struct {
	net.Conn
	b      *backend
	reused bool
	since  int64 // clock when it became idle
}

// acquire counts a request on b, of which limit may run at once (0: any number).
// It fails when b has just left the table: then nobody waits for that request,
// and b's address may soon be another's.
func (b *backend) acquire(limit int64) bool {
	n := b.inflight.Add(1)
	if b.retired.Load() || limit > 0 && n > limit {
		b.inflight.Add(-1)
		return false
	}
	return true
}

// done ends a request that acquire counted.
func (b *backend) done() {
	b.inflight.Add(-1)
	if g := b.gate.Load(); g != nil {
		g.freed()
	}
}

// take returns an idle connection, or nil. With fresh, only one that was used a
// moment ago.
func (b *backend) take(now int64, fresh bool) *upstream {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.idle)
	if n == 0 {
		return nil
	}
	u := b.idle[n-1]
	if fresh && now-u.since > int64(freshLimit) {
		return nil
	}
	b.idle[n-1] = nil
	b.idle = b.idle[:n-1]
	u.reused = true
	return u
}

// give returns a connection that ended its request cleanly.
func (b *backend) give(u *upstream, now int64) {
	b.mu.Lock()
	if b.retired.Load() || len(b.idle) >= maxIdle {
		b.mu.Unlock()
		u.Close()
		return
	}
	u.since = now
	b.idle = append(b.idle, u)
	b.mu.Unlock()
}

// retire takes b out of service: idle connections close, running requests end.
func (b *backend) retire() {
	b.retired.Store(true)
	b.closeIdle(func(*upstream) bool { return true })
}

func (b *backend) closeIdle(old func(*upstream) bool) {
	b.mu.Lock()
	kept, gone := b.idle[:0], []*upstream(nil)
	for _, u := range b.idle {
		if old(u) {
			gone = append(gone, u)
		} else {
			kept = append(kept, u)
		}
	}
	clear(b.idle[len(kept):])
	b.idle = kept
	b.mu.Unlock()
	for _, u := range gone {
		u.Close()
	}
}

func (b *backend) connect(ctx context.Context, limit time.Duration) (*upstream, error) {
	d := net.Dialer{Timeout: limit, KeepAlive: 30 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", b.Address)
	if err != nil {
		return nil, err
	}
	if b.retired.Load() { // the address may be another's since: nothing has been sent
		conn.Close()
		return nil, errRetired
	}
	return &upstream{Conn: conn, b: b}, nil
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, context.DeadlineExceeded)
}
