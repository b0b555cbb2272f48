package route

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"
)

// exchange is one request and its answer.
type exchange struct {
	start   int64
	t       *target
	b       *backend
	id      []byte
	idBuf   [36]byte
	connect time.Duration
	service time.Duration
	status  int
	bytes   int64
	max     int64  // bytes that the body may have; 0: any
	cookie  []byte // a field that the answer carries
	sent    bool   // some of the answer has been written
	small   []byte
	body    *upload
	fault   *fault
	hsts    []byte // header line of the host's policy; nil: none
}

// newID makes a random UUID (version 4).
func (x *exchange) newID() []byte {
	var u [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		u[i], u[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	o := x.idBuf[:]
	hex.Encode(o[0:8], u[0:4])
	hex.Encode(o[9:13], u[4:6])
	hex.Encode(o[14:18], u[6:8])
	hex.Encode(o[19:23], u[8:10])
	hex.Encode(o[24:36], u[10:16])
	o[8], o[13], o[18], o[23] = '-', '-', '-', '-'
	return o
}

// exchange serves the request in c.req and reports whether the connection can
// serve another.
func (c *conn) exchange() bool {
	c.x = exchange{start: now()}
	x := &c.x
	if x.id = c.req.get(fieldRequestID); !validRequestID(x.id) {
		x.id = x.newID()
	}
	if c.limits.Load() != nil {
		c.limits.Store(nil)
	}
	c.setHost()
	c.core.count.requests.Add(1)
	answered, keep := c.intercept()
	if !answered {
		keep = c.route()
	}
	if x.b != nil {
		x.b.done()
	}
	if x.fault != nil && !x.sent {
		bodyless := c.req.length <= 0 && !c.req.chunked && !c.expired.Load()
		keep = c.answerFault(*x.fault) && bodyless && c.keepAlive()
		return keep
	}
	c.log(x.fault)
	return keep
}

func (c *conn) setHost() {
	name, _ := splitPort(c.req.host)
	c.host = c.host[:0]
	for _, b := range name {
		c.host = append(c.host, lower(b))
	}
	if n := len(c.host); n > 0 && c.host[n-1] == '.' {
		c.host = c.host[:n-1]
	}
}

func (c *conn) keepAlive() bool {
	return (c.req.minor == 1 && !c.req.close || c.req.minor == 0 && c.req.keep && !c.req.close) && !c.core.draining.Load()
}

// route finds the target, an instance, and passes the request on.
func (c *conn) route() bool {
	x := &c.x
	c.takeSmallBody()
	var tried []*backend
	for attempt := 0; ; attempt++ {
		f := c.choose(tried)
		if f != nil {
			if x.fault == nil || f == &faultMaintenance {
				x.fault = f
			} // else the fault of the last try says more
			return false
		}
		x.fault = nil
		keep, again := c.try(attempt)
		if !again || attempt >= maxAttempts {
			return keep
		}
		if x.fault != nil {
			tried = append(tried, x.b)
		}
		x.b.done()
		x.b = nil
	}
}

// takeSmallBody takes a body that is already buffered, so that it goes out with
// the head and can be sent again.
func (c *conn) takeSmallBody() {
	if n := c.req.length; n > 0 && n <= int64(c.w-c.r) && n < 16<<10 {
		c.x.small = c.buf[c.r : c.r+int(n)]
		c.r += int(n)
	}
}

// try sends the request to x.b. again: nothing was lost, another try may be made.
func (c *conn) try(attempt int) (keep, again bool) {
	x := &c.x
	if c.gone.Load() {
		x.fault = &faultClientLeft
		return false, false
	}
	at := now()
	u := x.b.take(at, !c.repeatable())
	if attempt > 0 && u != nil {
		u.Close()
		u = nil
	}
	if u == nil {
		var err error
		u, err = x.b.connect(context.Background(), c.core.limits.Connect)
		at, x.connect = now(), time.Duration(now()-at)
		if err == errRetired {
			return false, true
		}
		if err != nil {
			x.b.eject(now())
			if x.fault = &faultRefused; isTimeout(err) {
				x.fault = &faultConnect
			}
			return false, true
		}
	}
	c.setUp(u)
	keep, reuse, again := c.pass(u, at)
	c.setUp(nil)
	if !reuse || c.expired.Load() {
		u.Close()
		return keep && !c.expired.Load(), again
	}
	x.b.give(u, at+int64(x.service))
	return keep, false
}

// repeatable reports whether the request may be sent a second time.
func (c *conn) repeatable() bool {
	if c.req.chunked || c.req.length > 0 && c.x.small == nil || c.req.upgrade {
		return false
	}
	switch string(c.req.method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// pass sends the request over u and the answer back.
func (c *conn) pass(u *upstream, begin int64) (keep, reuse, again bool) {
	x := &c.x
	c.out = c.appendRequest(c.out[:0])
	c.since.Store(begin)
	c.ph.Store(int32(phaseWait))
	if _, err := u.Write(c.out); err != nil {
		x.fault = &faultClosed
		if again = u.reused && c.repeatable() && !c.expired.Load(); again {
			x.fault = nil
		}
		return false, false, again
	}
	if x.small == nil && (c.req.chunked || c.req.length > 0) {
		c.startUpload(u)
	}
	keep, reuse, again = c.answer(u)
	x.service = time.Duration(now() - begin)
	if x.body != nil {
		whole := c.endUpload(u, reuse)
		keep, reuse = keep && whole, reuse && whole
	}
	return keep, reuse, again
}

// appendRequest builds the head that the instance gets, and a small body.
func (c *conn) appendRequest(o []byte) []byte {
	h := &c.req
	o = append(append(o, h.method...), ' ')
	o = append(c.appendTarget(o), " HTTP/1.1\r\nHost: "...)
	o = append(append(o, h.host...), "\r\n"...)
	for i := range h.fields {
		f := &h.fields[i]
		if c.forwards(f) {
			o = appendField(o, f)
		}
	}
	switch {
	case h.chunked:
		o = append(o, "Transfer-Encoding: chunked\r\n"...)
	case h.length >= 0:
		o = append(strconv.AppendInt(append(o, "Content-Length: "...), h.length, 10), "\r\n"...)
	}
	if h.upgrade {
		o = append(append(append(o, "Connection: Upgrade\r\nUpgrade: "...), h.get(fieldUpgrade)...), "\r\n"...)
	}
	o = c.appendOwn(o)
	return append(append(o, "\r\n"...), c.x.small...)
}

func (c *conn) appendTarget(o []byte) []byte {
	t := c.req.target
	if !c.x.t.StripPrefix || c.x.t.Path == "" {
		return append(o, t...)
	}
	if t = t[len(c.x.t.Path):]; len(t) == 0 || t[0] != '/' {
		o = append(o, '/')
	}
	return append(o, t...)
}

// appendOwn adds the fields that the router says about the request.
func (c *conn) appendOwn(o []byte) []byte {
	proto := "http"
	if c.secure {
		proto = "https"
	}
	o = append(append(append(o, "X-Request-Id: "...), c.x.id...), "\r\nX-Forwarded-For: "...)
	if c.trust {
		o = c.appendForwarded(o)
	}
	o = append(append(o, c.remote...), "\r\nX-Forwarded-Proto: "...)
	if v := c.req.get(fieldForwardedProto); c.trust && (string(v) == "http" || string(v) == "https") {
		proto = string(v)
	}
	o = append(append(o, proto...), "\r\nX-Forwarded-Port: "...)
	o = append(append(o, c.port...), "\r\nX-Request-Start: "...)
	o = strconv.AppendInt(o, c.x.start/1e6, 10)
	return append(o, "\r\nVia: 1.1 stead-router\r\n"...)
}

func appendField(o []byte, f *field) []byte {
	o = append(append(o, f.name...), ": "...)
	return append(append(o, f.value...), "\r\n"...)
}

// forwards reports whether a field of the request goes to the instance as it is.
func (c *conn) forwards(f *field) bool {
	switch f.id {
	case fieldOther, fieldAccept, fieldTrailer:
		return !c.req.named || !c.req.nominated(f.name)
	case fieldVia:
		return true
	case fieldExpect:
		return c.req.minor == 1 && c.x.small == nil
	case fieldTE:
		return equalFold(f.value, "trailers")
	}
	return false
}
