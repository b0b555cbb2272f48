package route

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// phase is what a connection waits for; each has its limit, kept by the sweep.
type phase int32

const (
	phaseIdle   phase = iota // the next request
	phaseHead                // the rest of a request's head
	phaseHold                // an instance that can take the request
	phaseUpload              // the client's body
	phaseWait                // the first byte of the answer
	phaseStream              // bytes either way
	phaseTunnel              // bytes either way of an upgraded connection
)

// conn is a client's connection. One goroutine serves it; a second one runs
// only while a body that does not fit the buffer is streamed.
type conn struct {
	core   *core
	nc     net.Conn
	raw    syscall.RawConn // of a plain TCP connection; else nil
	peer   syscall.RawConn // to see that the client left; nil: cannot be seen
	remote string
	secure bool
	proto  string // for access lines
	port   string
	trust  bool // remote is a trusted proxy

	buf  []byte // unread bytes are buf[r:w]
	r, w int
	out  []byte
	req  head
	ans  head
	host []byte // lower case, no port

	headLen int                    // of the request, in bytes
	limits  atomic.Pointer[Limits] // of the request's route; nil: the router's

	ph      atomic.Int32
	since   atomic.Int64                           // when the phase began or last moved
	expired atomic.Bool                            // the sweep broke the connection off
	gone    atomic.Bool                            // the client left while its answer was awaited
	single  bool                                   // one request only: a stream of HTTP/2
	mux     *h2Conn                                // what the connection carries, if it is one of HTTP/2
	h2      func(nc, under net.Conn, first []byte) // serves HTTP/2; nil: not here

	mu sync.Mutex
	up *upstream
	x  exchange
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
var smalls = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

func getBuffer() []byte   { return *buffers.Get().(*[]byte) }
func putBuffer(b []byte)  { buffers.Put(&b) }
func now() int64          { return time.Now().UnixNano() }
func (c *conn) touch()    { c.since.Store(now()) }
func (c *conn) is() phase { return phase(c.ph.Load()) }
func (c *conn) enter(p phase) {
	c.since.Store(now())
	c.ph.Store(int32(p))
}

func (c *conn) setUp(u *upstream) {
	c.mu.Lock()
	c.up = u
	c.mu.Unlock()
}

// serve answers requests until the connection ends.
func (c *conn) serve() {
	defer c.nc.Close()
	defer c.release()
	for {
		end, err := c.readHead()
		if err == nil && c.h2 != nil && string(c.buf[c.r:c.r+end]) == h2Preface[:18] {
			c.enter(phaseHold) // net/http keeps the time-outs
			c.h2(c.nc, c.nc, c.buf[c.r:c.w])
			return
		}
		if err != nil {
			c.refuse(err)
			return
		}
		if err := c.req.parseRequest(c.buf[c.r : c.r+end]); err != nil {
			c.refuse(err)
			return
		}
		c.r += end
		c.headLen = end
		c.out = getBuffer()[:0]
		keep := c.exchange()
		putBuffer(c.out[:cap(c.out)])
		c.out = nil
		if !keep || c.single {
			if !c.parted() {
				c.linger()
			}
			return
		}
		c.enter(phaseIdle)
	}
}

func (c *conn) release() {
	if c.buf != nil && len(c.buf) == 8<<10 {
		b := c.buf
		smalls.Put(&b)
	}
	c.buf, c.r, c.w = nil, 0, 0
}

// readHead reads until a whole head is buffered and returns its length. Between
// requests the connection holds no buffer.
func (c *conn) readHead() (int, error) {
	if c.r == c.w {
		c.release()
		runtime.Gosched() // as in answer
		if err := c.firstRead(); err != nil {
			return 0, err
		}
	}
	c.enter(phaseHead)
	for from := 0; ; {
		end, next, err := headEnd(c.buf[c.r:c.w], from)
		if err != nil || end > 0 {
			return end, err
		}
		from = next
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more behind buf[r:w], making room first.
func (c *conn) fill() error {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buf) {
		if len(c.buf) >= maxHead {
			return errHeadSize
		}
		old, b := c.buf, make([]byte, 2*len(c.buf))
		copy(b, old)
		if c.buf = b; len(old) == 8<<10 {
			smalls.Put(&old)
		}
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// firstRead waits for bytes and takes a buffer only when there are some.
func (c *conn) firstRead() error {
	if c.raw == nil {
		c.buf = *smalls.Get().(*[]byte)
		return c.fill()
	}
	var n int
	var rerr error
	err := c.raw.Read(func(fd uintptr) bool {
		b := *smalls.Get().(*[]byte)
		for {
			n, rerr = syscall.Read(int(fd), b)
			if rerr != syscall.EINTR {
				break
			}
		}
		if rerr == syscall.EAGAIN || n <= 0 {
			smalls.Put(&b)
			return rerr != syscall.EAGAIN
		}
		c.buf = b
		return true
	})
	if err == nil {
		err = rerr
	}
	if err == nil && n <= 0 {
		err = io.EOF
	}
	c.w = max(n, 0)
	return err
}

// refuse answers what is no request, if it can be answered, and says so in the lines.
func (c *conn) refuse(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		if !c.expired.Load() || c.is() != phaseHead {
			return
		}
		r = &refusal{408, "the head of the request did not come in time"}
	}
	c.core.count.refused.Add(1)
	c.req.reset()
	c.x = exchange{start: now(), status: r.status}
	c.x.id = c.x.newID()
	c.out = c.out[:0]
	f := fault{Code: "H26", Status: r.status, Desc: "Request error", What: "This request was refused: " + r.why + ".", Hint: "Send a well-formed HTTP request."}
	c.answerFault(f)
	c.linger()
}

// parted reports whether nothing more is to come from the client: it said that
// this was its last request, and all of that has been read.
func (c *conn) parted() bool {
	return c.req.close && c.r == c.w && c.x.fault == nil && (c.x.body == nil || c.x.body.whole)
}

// linger lets the client read the answer before the connection is reset by what
// it still sends.
func (c *conn) linger() {
	t, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || t.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	b := *smalls.Get().(*[]byte)
	defer smalls.Put(&b)
	for total := 0; total < 256<<10; {
		n, err := c.nc.Read(b)
		if total += n; err != nil {
			return
		}
	}
}

// left reports whether a client closed its side while it should wait.
func (c *conn) left() (gone bool) {
	if c.peer == nil {
		return false
	}
	c.peer.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err == syscall.ECONNRESET
	})
	return gone
}

// check is the sweep's look at the connection.
func (c *conn) check(at int64, l Limits) {
	if c.mux != nil {
		c.mux.check(at, l)
	}
	if own := c.limits.Load(); own != nil {
		l = *own
	}
	p, age := c.is(), time.Duration(at-c.since.Load())
	var limit time.Duration
	switch p {
	case phaseHead:
		limit = l.Head
	case phaseHold:
		return
	case phaseWait:
		if limit = l.FirstByte; age > time.Second && age < limit && c.left() {
			c.gone.Store(true)
			age = limit + 1
		}
	case phaseUpload, phaseStream, phaseTunnel:
		limit = l.Stream
	case phaseIdle:
		if limit = l.KeepAlive; c.core.draining.Load() {
			limit = drainIdle // what comes until then is still served
		}
	}
	if age > limit {
		c.interrupt(p)
	}
}

// abandon ends the request of a client that has no more use for its answer.
func (c *conn) abandon() {
	c.gone.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != nil {
		c.up.SetDeadline(time.Unix(1, 0))
	}
}

func (c *conn) interrupt(p phase) {
	past := time.Unix(1, 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is() != p {
		return
	}
	c.expired.Store(true)
	if c.up != nil {
		c.up.SetDeadline(past)
	}
	switch p {
	case phaseWait:
	case phaseStream, phaseTunnel:
		c.nc.SetDeadline(past)
	default:
		c.nc.SetReadDeadline(past)
	}
}
