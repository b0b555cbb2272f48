package route

import (
	"runtime"
	"strconv"
)

const maxInterim = 16 // 1xx answers before the real one

// answer reads the instance's answer and streams it to the client.
func (c *conn) answer(u *upstream) (keep, reuse, again bool) {
	in := getBuffer()
	defer putBuffer(in)
	x, w := &c.x, 0
	runtime.Gosched() // others' turn is this answer's time: the read then finds it without having to wait
	for interim := 0; ; interim++ {
		end, n, err := c.answerHead(u, in, w)
		w = n
		if err != nil {
			return false, false, c.answerFailed(u, err, w)
		}
		if c.ans.status >= 200 || c.ans.status == 101 {
			return c.relay(u, in, end, w)
		}
		if interim == maxInterim {
			x.fault = &faultBadAnswer
			return false, false, false
		}
		if c.req.minor == 1 {
			c.out = c.appendAnswer(c.out[:0], framing{})
			if _, err := c.nc.Write(c.out); err != nil {
				x.fault = &faultClientLeft
				return false, false, false
			}
		}
		w = copy(in, in[end:w])
	}
}

// answerHead reads until in holds a head; w bytes are there already.
func (c *conn) answerHead(u *upstream, in []byte, w int) (end, filled int, err error) {
	for from := 0; ; {
		end, from, err = headEnd(in[:w], from)
		if err != nil {
			return 0, w, err
		}
		if end > 0 {
			return end, w, c.ans.parseAnswer(in[:end])
		}
		if w == len(in) {
			return 0, w, errHeadSize
		}
		n, err := u.Read(in[w:])
		if w += n; n == 0 && err != nil {
			return 0, w, err
		}
	}
}

// answerFailed sets the fault for an answer that did not come.
func (c *conn) answerFailed(u *upstream, err error, got int) (again bool) {
	x := &c.x
	_, garbage := err.(*refusal)
	switch {
	case c.gone.Load():
		x.fault = &faultClientLeft
	case c.expired.Load() && c.is() == phaseUpload:
		x.fault = &faultClientIdle
	case c.expired.Load():
		c.expired.Store(false) // only the instance was broken off
		x.fault = &faultFirstByte
	case x.body != nil && c.uploadFault() != nil:
		x.fault = c.uploadFault()
	case garbage:
		x.b.broke(now())
		x.fault = &faultBadAnswer
	case u.reused && got == 0 && c.repeatable():
		return true
	default:
		x.b.broke(now())
		x.fault = &faultClosed
	}
	return false
}

// uploadFault is the client's part in a failure; nil if it has none.
func (c *conn) uploadFault() *fault {
	select {
	case <-c.x.body.done:
	default:
		return nil
	}
	switch b := c.x.body; {
	case !b.mine:
		return nil
	case b.err == errChunk:
		return &faultBadBody
	case b.err == errBodySize:
		return &faultTooLarge
	default:
		return &faultClientLeft
	}
}

// framing is how the body of an answer ends.
type framing struct {
	none     bool
	chunked  bool
	length   int64 // -1: not given
	unchunk  bool  // for a client that knows no chunks
	close    bool  // the client's connection ends with the body
	announce bool
}

func (c *conn) frame() framing {
	a := &c.ans
	f := framing{length: a.length, chunked: a.chunked, announce: true}
	f.none = string(c.req.method) == "HEAD" || a.status == 204 || a.status == 304
	f.unchunk = f.chunked && c.req.minor == 0
	f.close = !c.keepAlive() || !f.none && (!f.chunked && f.length < 0 || f.unchunk)
	return f
}

// relay streams the answer whose head is in[:end]; in[end:w] follows it.
func (c *conn) relay(u *upstream, in []byte, end, w int) (keep, reuse, again bool) {
	x := &c.x
	c.enter(phaseStream)
	x.status = c.ans.status
	x.b.well()
	if c.ans.status == 101 {
		return c.upgrade(u, in[end:w])
	}
	f := c.frame()
	c.out = c.appendAnswer(c.out[:0], f)
	s := stream{c: c, u: u, in: in, f: f, left: f.length}
	s.chunks.keep = f.unchunk
	whole := s.run(in[end:w])
	reuse = whole && s.clean && !c.ans.close && (c.ans.minor == 1 || c.ans.keep)
	return whole && !f.close, reuse, false
}

func (c *conn) upgrade(u *upstream, early []byte) (keep, reuse, again bool) {
	x := &c.x
	if !c.req.upgrade {
		x.fault = &faultBadAnswer
		return false, false, false
	}
	c.out = c.appendAnswer(c.out[:0], framing{})
	if _, err := c.nc.Write(c.out); err != nil {
		x.fault = &faultClientLeft
		return false, false, false
	}
	x.sent = true
	c.tunnel(u, early)
	return false, false, false
}

// stream is the body of an answer under way.
type stream struct {
	c      *conn
	u      *upstream
	in     []byte
	f      framing
	left   int64
	chunks chunkReader
	ended  bool
	clean  bool // nothing was read behind the body
}

// run writes the head with what is there of the body, then the rest.
func (s *stream) run(part []byte) bool {
	x := &s.c.x
	for {
		data, err := s.cut(part)
		if err != nil {
			return s.fail(&faultBadAnswer)
		}
		out := data
		if !x.sent {
			out = append(s.c.out, data...)
			s.c.out = out
		}
		if len(out) > 0 {
			if _, err := s.c.nc.Write(out); err != nil {
				return s.fail(&faultClientLeft)
			}
			x.sent = true
			if x.bytes += int64(len(data)); !s.ended {
				s.c.touch()
			}
		}
		if s.ended {
			return true
		}
		n, err := s.u.Read(s.in)
		if n == 0 && err != nil {
			if s.untilClose() && !s.c.expired.Load() {
				return true
			}
			return s.fail(&faultInterrupted)
		}
		part = s.in[:n]
	}
}

func (s *stream) untilClose() bool { return !s.f.none && !s.f.chunked && s.f.length < 0 }

func (s *stream) fail(f *fault) bool {
	if s.c.x.fault = f; s.c.expired.Load() {
		s.c.x.fault = &faultIdle
	}
	return false
}

// cut returns what of part is to be written, and notes the end of the body.
func (s *stream) cut(part []byte) (data []byte, err error) {
	n := len(part)
	switch {
	case s.f.none:
		n, s.ended = 0, true
	case s.f.chunked:
		if n, err = s.chunks.feed(part); err != nil {
			return nil, err
		}
		s.ended = s.chunks.done()
	case s.left >= 0:
		n = int(min(int64(n), s.left))
		s.left -= int64(n)
		s.ended = s.left == 0
	}
	s.clean = s.ended && n == len(part)
	if s.f.unchunk {
		data, s.chunks.data = s.chunks.data, s.chunks.data[:0]
		return data, nil
	}
	return part[:n], nil
}

// appendAnswer builds the head that the client gets.
func (c *conn) appendAnswer(o []byte, f framing) []byte {
	a := &c.ans
	o = append(append(append(o, "HTTP/1.1 "...), a.target...), "\r\n"...)
	for i := range a.fields {
		if x := &a.fields[i]; c.returns(x, f) {
			o = appendField(o, x)
		}
	}
	switch {
	case a.status == 101:
		o = append(append(append(o, "Connection: Upgrade\r\nUpgrade: "...), a.get(fieldUpgrade)...), "\r\n"...)
	case a.status < 200 || a.status == 204:
	case f.chunked && !f.unchunk:
		o = append(o, "Transfer-Encoding: chunked\r\n"...)
	case f.length >= 0:
		o = append(strconv.AppendInt(append(o, "Content-Length: "...), f.length, 10), "\r\n"...)
	}
	if f.announce {
		if f.close {
			o = append(o, "Connection: close\r\n"...)
		} else if c.req.minor == 0 {
			o = append(o, "Connection: keep-alive\r\n"...)
		}
		if a.get(fieldRequestID) == nil {
			o = append(append(append(o, "X-Request-Id: "...), c.x.id...), "\r\n"...)
		}
		o = append(o, "Via: 1.1 stead-router\r\n"...)
		o = append(o, c.x.cookie...)
		if c.x.hsts != nil {
			o = c.appendHSTS(o)
		}
	}
	return append(o, "\r\n"...)
}

// returns reports whether a field of the answer goes to the client as it is.
func (c *conn) returns(x *field, f framing) bool {
	switch x.id {
	case fieldConnection, fieldContentLength, fieldTransferEncoding, fieldUpgrade, fieldKeepAlive, fieldProxyConnection:
		return false
	case fieldTrailer:
		return !f.unchunk
	}
	return !c.ans.named || !c.ans.nominated(x.name)
}
