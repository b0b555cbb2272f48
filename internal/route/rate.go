package route

import (
	"hash/maphash"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// maxClients is how many clients one rule's limiter remembers. When there are
// more, those whose bucket is full again are forgotten, and then all.
const maxClients = 50_000

// limiter is a token bucket for each client of a rule. A bucket is one number:
// the time at which it is full again.
type limiter struct {
	gap   int64  // nanoseconds for one token
	burst int64  // nanoseconds for a whole bucket
	field string // the clients are told apart by; "": address
	seed  maphash.Seed

	mu   sync.Mutex
	full map[uint64]int64
}

func newLimiter(r stead.Rate) *limiter {
	per := max(int64(r.Per), 1) * int64(time.Second)
	l := &limiter{gap: max(per/int64(r.Requests), 1), seed: maphash.MakeSeed(), full: map[uint64]int64{}}
	burst := r.Burst
	if burst == 0 {
		burst = r.Requests
	}
	l.burst = l.gap * int64(burst)
	l.field, _ = strings.CutPrefix(r.By, "header ")
	if r.By == "address" {
		l.field = ""
	}
	return l
}

// take takes a token of the client; wait is how long until there is one.
func (l *limiter) take(client []byte, at int64) (wait time.Duration) {
	key := maphash.Bytes(l.seed, client)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := max(l.full[key], at)
	if over := full + l.gap - at - l.burst; over > 0 {
		return time.Duration(over)
	}
	if _, known := l.full[key]; !known && len(l.full) >= maxClients {
		l.forget(at)
	}
	l.full[key] = full + l.gap
	return 0
}

func (l *limiter) forget(at int64) {
	for k, full := range l.full {
		if full <= at {
			delete(l.full, k)
		}
	}
	if len(l.full) >= maxClients*9/10 {
		clear(l.full)
	}
}

// rateKey names the client for a limiter. A request without the field counts by
// its address, so that leaving the field out gains nothing.
func (c *conn) rateKey(l *limiter) []byte {
	if l.field != "" {
		if v := c.req.only(strings.ToLower(l.field)); v != nil {
			return append([]byte{'f'}, v...)
		}
	}
	a := c.client()
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	return a.AsSlice()
}

// limited is the fault of a request that comes too soon.
func limited(wait time.Duration) *fault {
	f := faultRate
	f.Head = "Retry-After: " + strconv.Itoa(int((wait+time.Second-1)/time.Second)) + "\r\n"
	return &f
}

// client returns the address that the request comes from: the peer's, or the
// one that trusted proxies name. What stands left of a stranger's address in
// X-Forwarded-For is the stranger's word and does not count.
func (c *conn) client() netip.Addr {
	peer, _ := netip.ParseAddr(c.remote)
	if !c.trust {
		return peer
	}
	for i := len(c.req.fields) - 1; i >= 0; i-- {
		if f := &c.req.fields[i]; f.id == fieldForwardedFor && f.name[1] == '-' {
			if a, ok := c.core.lastStranger(string(f.value), &peer); ok {
				return a
			}
		}
	}
	return peer
}

// lastStranger walks the list from its end to the first address that is no
// trusted proxy's; nearest is the last one seen.
func (k *core) lastStranger(list string, nearest *netip.Addr) (netip.Addr, bool) {
	for list != "" {
		cut := strings.LastIndexByte(list, ',')
		a, err := netip.ParseAddr(strings.TrimSpace(list[cut+1:]))
		if err != nil {
			return *nearest, true
		}
		if *nearest = a.Unmap(); !k.trusts(*nearest) {
			return *nearest, true
		}
		list = list[:max(cut, 0)]
	}
	return *nearest, false
}

// appendForwarded appends what trusted proxies said of the way here.
func (c *conn) appendForwarded(o []byte) []byte {
	for i := range c.req.fields {
		if f := &c.req.fields[i]; f.id == fieldForwardedFor && len(f.value) > 0 && f.name[1] == '-' {
			o = append(append(o, f.value...), ", "...)
		}
	}
	return o
}

func (k *core) trusts(a netip.Addr) bool {
	for _, p := range k.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// redirect is the answer that sends the client elsewhere; no fault of anybody.
func (c *conn) redirect(r *stead.Redirect) *fault {
	rest := string(c.req.target[min(len(c.x.t.Path), len(c.req.target)):])
	if rest == "*" {
		rest = ""
	}
	to := strings.Replace(r.URL, "{path}", rest, 1)
	return &fault{Status: r.Status, What: http.StatusText(r.Status), Hint: to, Head: "Location: " + to + "\r\n"}
}
