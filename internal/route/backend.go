package route

import (
	"context"
	"errors"
	"math/rand/v2"
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
	ejectLimit  = 5 * time.Second  // the longest that a refusing backend is left out
	ejectFirst  = 250 * time.Millisecond
	maxAttempts = 4 // backends tried for one request
)

// backend is an instance while it is in a table, and after that until its last
// request has ended. Connections belong to it: they never serve another
// instance, even one that got the same address.
type backend struct {
	Backend
	inflight atomic.Int64 // requests
	sockets  atomic.Int64 // upgraded connections
	retired  atomic.Bool  // not in the served table
	ejected  atomic.Int64 // until (clock nanoseconds) it is the last choice
	failures atomic.Int32 // refusals in a row

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

// acquire counts a request on b. It fails when b has just left the table: then
// nobody waits for that request, and b's address may soon be another's.
func (b *backend) acquire() bool {
	b.inflight.Add(1)
	if b.retired.Load() {
		b.inflight.Add(-1)
		return false
	}
	return true
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

// eject makes b the last choice for a while that grows with each refusal.
func (b *backend) eject(now int64) {
	n := min(b.failures.Add(1), 6)
	b.ejected.Store(now + int64(min(ejectFirst<<(n-1), ejectLimit)))
}

func (b *backend) connect(ctx context.Context, limit time.Duration) (*upstream, error) {
	d := net.Dialer{Timeout: limit, KeepAlive: 30 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", b.Address)
	if err != nil {
		return nil, err
	}
	b.failures.Store(0)
	return &upstream{Conn: conn, b: b}, nil
}

// pick chooses the less busy of two random backends, leaving out ejected ones
// while there are others, and those in tried. It counts the request on the one
// it returns; nil if none is left.
func (t *target) pick(now int64, tried []*backend) *backend {
	var best *backend
	n := len(t.backends)
	if n == 0 {
		return nil
	}
	first := rand.IntN(n)
	seen := 0
	for i := range n {
		at := first + i
		if at >= n {
			at -= n
		}
		if i == 1 && n > 2 { // the second is random too
			j := rand.IntN(n - 1)
			if at = first + 1 + j; at >= n {
				at -= n
			}
		}
		b := t.backends[at]
		if contains(tried, b) || b.retired.Load() || b.ejected.Load() > now {
			continue
		}
		if best == nil || b.inflight.Load() < best.inflight.Load() {
			best = b
		}
		if seen++; seen == 2 {
			break
		}
	}
	if best == nil {
		best = t.leastBad(tried)
	}
	if best == nil || !best.acquire() {
		return nil
	}
	return best
}

// leastBad is the choice when all are ejected: better a try than no answer.
func (t *target) leastBad(tried []*backend) *backend {
	var best *backend
	for _, b := range t.backends {
		if !contains(tried, b) && !b.retired.Load() && (best == nil || b.ejected.Load() < best.ejected.Load()) {
			best = b
		}
	}
	return best
}

func contains(list []*backend, b *backend) bool {
	for _, x := range list {
		if x == b {
			return true
		}
	}
	return false
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, context.DeadlineExceeded)
}
