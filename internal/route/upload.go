package route

import (
	"errors"
	"io"
	"time"
)

var errBodySize = errors.New("the body is larger than its route takes")

// upload is a request's body on its way to the instance, in a goroutine of its own.
type upload struct {
	done  chan struct{}
	whole bool  // all of it was sent, and nothing else was read
	err   error // why not; set before done
	mine  bool  // err is the client's doing
}

func (c *conn) startUpload(u *upstream) {
	x := &c.x
	x.body = &upload{done: make(chan struct{})}
	c.ph.CompareAndSwap(int32(phaseWait), int32(phaseUpload))
	first := c.buf[c.r:c.w]
	c.r = c.w
	go c.upload(x.body, u, first)
}

// upload streams the body: first what is buffered, then what comes.
func (c *conn) upload(b *upload, u *upstream, first []byte) {
	defer close(b.done)
	buf := getBuffer()
	defer putBuffer(buf)
	var cr chunkReader
	left := c.req.length
	chunked := c.req.chunked
	for {
		n := 0
		if chunked {
			n, b.err = cr.feed(first)
			if b.err == nil && c.x.max > 0 && cr.size > c.x.max {
				b.err = errBodySize
			}
			if b.err != nil {
				b.mine = true
				u.SetReadDeadline(time.Unix(1, 0)) // the rest will never come
				return
			}
		} else {
			n = int(min(int64(len(first)), left))
			left -= int64(n)
		}
		if n > 0 {
			if _, b.err = u.Write(first[:n]); b.err != nil {
				return
			}
			c.touch()
		}
		if chunked && cr.done() || !chunked && left == 0 {
			b.whole = n == len(first)
			c.touch()
			c.ph.CompareAndSwap(int32(phaseUpload), int32(phaseWait))
			return
		}
		part := buf
		if !chunked && left < int64(len(buf)) {
			part = buf[:left]
		}
		n, err := c.nc.Read(part)
		if n == 0 && err != nil {
			b.err, b.mine = err, true
			u.SetReadDeadline(time.Unix(1, 0)) // nothing more will be asked for
			return
		}
		first = part[:n]
	}
}

// endUpload ends the body's goroutine after the answer. reuse: the answer was whole.
func (c *conn) endUpload(u *upstream, reuse bool) bool {
	b := c.x.body
	if reuse {
		t := time.NewTimer(50 * time.Millisecond)
		defer t.Stop()
		select {
		case <-b.done:
			return b.whole
		case <-t.C:
		}
	}
	past := time.Unix(1, 0)
	c.nc.SetReadDeadline(past)
	u.SetDeadline(past)
	<-b.done
	return b.whole && !c.expired.Load() && c.nc.SetReadDeadline(time.Time{}) == nil && reuse
}

// tunnel copies both ways after an upgrade, until either side ends or both are idle.
func (c *conn) tunnel(u *upstream, early []byte) {
	x := &c.x
	x.b.sockets.Add(1)
	x.b.done()
	c.core.count.sockets.Add(1)
	c.enter(phaseTunnel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.pump(u, c.nc, c.buf[c.r:c.w], nil)
	}()
	c.pump(c.nc, u, early, &x.bytes)
	past := time.Unix(1, 0)
	c.nc.SetReadDeadline(past)
	u.SetDeadline(past)
	<-done
	c.r = c.w
	x.b.inflight.Add(1) // exchange counts it down
	x.b.sockets.Add(-1)
	c.core.count.sockets.Add(-1)
}

// pump copies until from ends, then half-closes to.
func (c *conn) pump(to io.Writer, from io.Reader, first []byte, count *int64) {
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		if len(first) > 0 {
			if _, err := to.Write(first); err != nil {
				break
			}
			if count != nil {
				*count += int64(len(first))
			}
			c.touch()
		}
		n, err := from.Read(buf)
		if first = buf[:n]; n == 0 && err != nil {
			break
		}
	}
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	if u, ok := to.(*upstream); ok {
		if w, ok := u.Conn.(interface{ CloseWrite() error }); ok {
			w.CloseWrite()
		}
	}
}
