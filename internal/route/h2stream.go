package route

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// h2Stream is one request of an HTTP/2 connection and looks to the forwarding
// loop like a client's connection over HTTP/1.1: Read gives the request's head and
// body, Write takes an answer's. Fields but id and m are under m.mu.
type h2Stream struct {
	net.Conn // nil: addresses are asked of the connection
	m        *h2Conn
	c        *conn
	id       uint32
	wake     sync.Cond
	window   int64 // bytes of the answer that may be sent
	unread   int64 // bytes of the body that may come
	credit   int64 // bytes read and not yet given back
	over     bool  // reset, by either side, or the connection broke
	noRead   bool  // the loop's deadline has passed
	noWrite  bool

	staged  []byte // of the request: what Read returns next
	body    []byte // received, from read on not yet staged
	read    int
	left    int64  // of the body by Content-Length; -1: not given
	ended   bool   // all of the request has come
	chunked bool   // it is given to the loop in chunks
	tail    []byte // its trailers
	final   bool   // the last chunk has been staged

	ans      head // of the answer
	head     bool // it answers HEAD
	headed   bool // its head has been sent
	closed   bool // so has its end
	untilEnd bool // it ends when the loop does
	rest     int64
	chunks   chunkReader
}

// Read returns parts of the request as HTTP/1.1 has it.
func (s *h2Stream) Read(p []byte) (int, error) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(s.staged) == 0 {
		switch {
		case s.noRead:
			return 0, os.ErrDeadlineExceeded
		case s.over:
			return 0, io.ErrUnexpectedEOF
		case s.read < len(s.body):
			return s.take(p), nil
		case s.ended && s.chunked && !s.final:
			s.final = true
			s.staged = append(append(append(s.staged, "0\r\n"...), s.tail...), "\r\n"...)
		case s.ended:
			return 0, io.EOF
		default:
			s.wake.Wait()
		}
	}
	n := copy(p, s.staged)
	s.staged = s.staged[n:]
	return n, nil
}

// take returns a part of the body and lets the peer send as much.
func (s *h2Stream) take(p []byte) (n int) {
	b := s.body[s.read:]
	if !s.chunked {
		n = copy(p, b)
		s.read += n
	} else {
		b = b[:min(len(b), h2Frame)]
		s.read += len(b)
		s.staged = append(strconv.AppendInt(s.staged[:0], int64(len(b)), 16), "\r\n"...)
		s.staged = append(append(s.staged, b...), "\r\n"...)
		n = copy(p, s.staged)
		s.staged = s.staged[n:]
	}
	taken := int64(n)
	if s.chunked {
		taken = int64(len(b))
	}
	s.giveBack(taken)
	s.m.give(taken)
	if s.read == len(s.body) {
		s.putBody()
	}
	return n
}

// giveBack lets the peer send n more bytes of this body.
func (s *h2Stream) giveBack(n int64) {
	if s.credit += n; s.credit < h2StreamWindow/4 || s.ended {
		return
	}
	s.m.out = appendWindowUpdate(s.m.out, s.id, s.credit)
	s.unread += s.credit
	s.credit = 0
	s.m.flushSoon()
}

// keep appends to the body, in a buffer of the pool while it fits one.
func (s *h2Stream) keep(b []byte) {
	if s.body == nil && len(b) > 0 {
		s.body = getBuffer()[:0]
	}
	if s.read > 0 && len(s.body)+len(b) > cap(s.body) {
		s.body = s.body[:copy(s.body, s.body[s.read:])]
		s.read = 0
	}
	s.body = append(s.body, b...)
}

func (s *h2Stream) putBody() {
	if cap(s.body) == 32<<10 {
		putBuffer(s.body[:32<<10])
	}
	s.body, s.read = nil, 0
}

// Write takes an answer of the loop: a head, whole in one call, then its body.
func (s *h2Stream) Write(p []byte) (int, error) {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := p; len(b) > 0; {
		if !s.headed {
			n, err := s.writeHead(b)
			if err != nil {
				return 0, err
			}
			b = b[n:]
			continue
		}
		n, err := s.writeBody(b)
		if err != nil {
			return 0, err
		}
		b = b[n:]
	}
	m.flush()
	if m.err != nil {
		return 0, m.err
	}
	return len(p), nil
}

// writeHead sends a head and says how the body ends.
func (s *h2Stream) writeHead(b []byte) (int, error) {
	end, _, err := headEnd(b, 0)
	if err != nil || end == 0 {
		return 0, errH2
	}
	a := &s.ans
	if err := a.parseAnswer(b[:end]); err != nil {
		return 0, err
	}
	interim := a.status < 200
	none := s.head || a.status == 204 || a.status == 304 || a.length == 0
	if s.rest = a.length; !interim {
		s.headed, s.closed, s.untilEnd = true, none, !a.chunked && a.length < 0
	}
	if s.over || s.noWrite {
		return 0, s.gone()
	}
	s.chunks.keep, s.chunks.tail = true, true
	s.m.out = appendAnswerFrames(s.m.out, s.id, a, none && !interim)
	return end, nil
}

// writeBody sends the data in b, which lies in chunks if the head said so.
func (s *h2Stream) writeBody(b []byte) (int, error) {
	if s.closed {
		return len(b), nil
	}
	if !s.ans.chunked {
		if s.rest >= 0 {
			s.rest -= int64(len(b))
		}
		return len(b), s.send(b, s.rest == 0)
	}
	n, err := s.chunks.feed(b)
	if err != nil {
		return 0, err
	}
	done, tail := s.chunks.done(), s.chunks.trailers
	if err := s.send(s.chunks.data, done && len(tail) == 0); err != nil {
		return 0, err
	}
	s.chunks.data = s.chunks.data[:0]
	if done && len(tail) > 0 {
		s.m.out = appendTrailerFrames(s.m.out, s.id, tail)
		s.closed = true
	}
	return n, nil
}

// send queues data as the windows allow.
func (s *h2Stream) send(b []byte, last bool) error {
	m := s.m
	for len(b) > 0 || last {
		for !s.over && !s.noWrite && len(b) > 0 && (s.window <= 0 || m.window <= 0 || len(m.out) > h2Queue) {
			if m.flush(); len(m.out) > h2Queue {
				m.room.Wait()
			} else if s.window <= 0 || m.window <= 0 {
				s.wake.Wait()
			}
		}
		if s.over || s.noWrite {
			return s.gone()
		}
		n := len(b)
		if n > 0 {
			n = int(min(int64(n), h2Frame, s.window, m.window))
		}
		flags := http2.Flags(0)
		if last && n == len(b) {
			flags, s.closed, last = http2.FlagDataEndStream, true, false
		}
		m.out = append(appendFrame(m.out, n, http2.FrameData, flags, s.id), b[:n]...)
		s.window -= int64(n)
		m.window -= int64(n)
		b = b[n:]
	}
	return nil
}

func (s *h2Stream) gone() error {
	if s.noWrite {
		return os.ErrDeadlineExceeded
	}
	return net.ErrClosed
}

// Close does nothing: the stream ends when the loop is done with it.
func (s *h2Stream) Close() error { return nil }

// SetReadDeadline ends reads at once for a time in the past; no other is asked for.
func (s *h2Stream) SetReadDeadline(t time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.noRead = !t.IsZero()
	s.wake.Broadcast()
	return nil
}

// SetDeadline is SetReadDeadline, for writes too.
func (s *h2Stream) SetDeadline(t time.Time) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.noRead, s.noWrite = !t.IsZero(), !t.IsZero()
	s.wake.Broadcast()
	s.m.room.Broadcast()
	return nil
}
