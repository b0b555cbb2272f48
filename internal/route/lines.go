package route

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// AccessLine is one request as the router saw it. Text is logfmt with the keys
// of Heroku's router; instance repeats dyno for people who know no dynos.
type AccessLine struct {
	At     time.Time `json:"at"`
	Stream string    `json:"stream"` // Rule.LogStream
	Text   string    `json:"text"`
}

// ring keeps the last lines until they are read; older ones are overwritten and
// counted.
type ring struct {
	mu      sync.Mutex
	slots   []slot
	head    uint64 // the next to write
	read    uint64 // the next to read
	dropped int64
	wake    chan struct{}
}

type slot struct {
	at     int64
	stream string
	text   []byte
}

func newRing(n int) *ring { return &ring{slots: make([]slot, n), wake: make(chan struct{}, 1)} }

// add writes a line with fill, which appends its text.
func (r *ring) add(at int64, stream string, fill func([]byte) []byte) {
	r.mu.Lock()
	s := &r.slots[r.head%uint64(len(r.slots))]
	if r.head-r.read == uint64(len(r.slots)) {
		r.read++
		r.dropped++
	}
	s.at, s.stream, s.text = at, stream, fill(s.text[:0])
	r.head++
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take appends up to n lines as JSON, one a line, to b.
func (r *ring) take(b []byte, n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; n > 0 && r.read < r.head; n-- {
		s := &r.slots[r.read%uint64(len(r.slots))]
		r.read++
		j, err := json.Marshal(AccessLine{At: time.Unix(0, s.at).UTC(), Stream: s.stream, Text: string(s.text)})
		if err == nil {
			b = append(append(b, j...), '\n')
		}
	}
	return b
}

func (r *ring) drops() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// log writes the request's line. Requests for unknown hosts have no stream.
func (c *conn) log(f *fault) {
	x, stream := &c.x, ""
	if x.t != nil {
		stream = x.t.LogStream
	}
	if f != nil {
		c.core.count.faults.Add(1)
	}
	if stream == "" || f == nil && !c.sampled() {
		return
	}
	c.core.lines.add(x.start, stream, func(o []byte) []byte { return c.appendLine(o, f) })
}

// sampled reports whether a request without a fault gets a line. What the app
// itself answers as an error always does.
func (c *conn) sampled() bool {
	p := c.x.t.policy
	if p == nil || p.rule.LogEvery <= 1 || c.x.status >= 400 {
		return true
	}
	return p.good.Add(1)%uint64(p.rule.LogEvery) == 1
}

func (c *conn) appendLine(o []byte, f *fault) []byte {
	x := &c.x
	if f == nil {
		o = append(o, "at=info"...)
	} else {
		o = append(append(append(o, "at=error code="...), f.Code...), " desc="...)
		o = strconv.AppendQuote(o, f.Desc)
		if x.sent {
			x.status = max(x.status, 0)
		}
	}
	o = append(append(o, " method="...), c.req.method...)
	o = appendText(append(o, " path="...), c.req.target, true)
	o = appendText(append(o, " host="...), c.req.host, false)
	o = appendText(append(o, " request_id="...), x.id, false)
	o = append(append(append(o, ` fwd="`...), c.remote...), '"')
	if x.b != nil {
		o = append(append(o, " dyno="...), x.b.Name...)
		o = append(append(o, " instance="...), x.b.Name...)
	}
	o = appendMillis(append(o, " connect="...), x.connect)
	o = appendMillis(append(o, " service="...), x.service)
	o = strconv.AppendInt(append(o, " status="...), int64(x.status), 10)
	o = strconv.AppendInt(append(o, " bytes="...), x.bytes, 10)
	return append(append(o, " protocol="...), c.proto...)
}

func appendMillis(o []byte, d time.Duration) []byte {
	return append(strconv.AppendInt(o, d.Milliseconds(), 10), "ms"...)
}

// appendText appends at most 2 KiB of what a client sent, quoted if asked or needed.
func appendText(o, v []byte, quote bool) []byte {
	if len(v) > 2048 {
		v = v[:2048]
	}
	for _, b := range v {
		if b <= ' ' || b >= 0x7f || b == '"' || b == '\\' {
			return strconv.AppendQuote(o, string(v))
		}
	}
	if quote {
		return append(append(append(o, '"'), v...), '"')
	}
	return append(o, v...)
}
