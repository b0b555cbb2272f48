package route

import "time"

// Passive health. An instance that refuses connections, or breaks off without an
// answer several times in a row, is left out for a while that grows:
//
//	well ──refused, or brokenLimit breaks──→ ejected ──time──→ half-open
//	  ↑                                        ↑                   │ one request
//	  └──────────── an answer ─────────────────┼───────────────────┤
//	                                           └──── no answer ────┘
//
// Whether an instance can serve at all is the engine's to say, which asks it
// from where the instance is: the router never probes by itself.
const (
	ejectLimit  = 5 * time.Second // the longest that a backend is left out (Heroku's quarantine)
	ejectFirst  = 250 * time.Millisecond
	probeGap    = time.Second // between probes whose end nobody tells
	brokenLimit = 3
)

// usable reports whether b is a good choice. When its ejection has just ended
// that is so for one caller only: the probe.
func (b *backend) usable(limit, at int64, tried []*backend) bool {
	if b.retired.Load() || limit > 0 && b.inflight.Load() >= limit || len(tried) > 0 && contains(tried, b) {
		return false
	}
	e := b.ejected.Load()
	return e == 0 || e <= at && b.ejected.CompareAndSwap(e, at+int64(probeGap))
}

// eject leaves b out for a while that grows with each time in a row.
func (b *backend) eject(at int64) {
	n := min(b.failures.Add(1), 6)
	b.ejected.Store(at + int64(min(ejectFirst<<(n-1), ejectLimit)))
}

// broke notes that b ended a connection without a proper answer.
func (b *backend) broke(at int64) {
	if b.broken.Add(1) >= brokenLimit || b.failures.Load() > 0 {
		b.eject(at)
	}
}

// well notes an answer.
func (b *backend) well() {
	if b.failures.Load()|b.broken.Load() != 0 {
		b.failures.Store(0)
		b.broken.Store(0)
		b.ejected.Store(0)
	}
}
