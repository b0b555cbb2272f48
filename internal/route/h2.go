package route

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const h2Preface = http2.ClientPreface

// What one HTTP/2 connection may have of the router.
const (
	h2Streams      = 250       // requests at a time
	h2Frame        = 16 << 10  // bytes of a frame, the least that a peer must take
	h2ConnWindow   = 512 << 10 // bytes of all its bodies that wait for their instances
	h2StreamWindow = 256 << 10 // of one body
	h2Queue        = 64 << 10  // bytes that wait to be written before writers wait
	h2Strikes      = 1000      // frames in a second that cost us and serve nobody
)

// h2Conn is one HTTP/2 connection. Its reader hands each request, written as
// HTTP/1.1, to the forwarding loop in a goroutine of its own; the loop's answer
// is turned into frames by h2Stream.
//
// What is under mu may be held only for as long as memory is touched: writing
// happens with it released, by one goroutine at a time (flush).
type h2Conn struct {
	base    *conn // what the streams have in common; the sweep's handle
	nc      net.Conn
	r       *bufio.Reader
	framer  *http2.Framer // reads only
	decoder *hpack.Decoder
	text    h2Text // the head that is being decoded
	block   []byte // its fragments so far
	opened  *http2.HeadersFrame
	work    sync.WaitGroup

	mu       sync.Mutex
	streams  map[uint32]*h2Stream
	last     uint32 // highest stream of the peer
	window   int64  // bytes that may be sent
	initial  int64  // window of a new stream
	unread   int64  // bytes that the peer may still send
	credit   int64  // bytes read and not yet given back
	out      []byte // frames to write
	spare    []byte
	flushing int64 // clock at which the write under way began; 0: none
	room     sync.Cond
	err      error // why the connection is over
	strikes  int
	away     int // GOAWAYs sent
}

// serveH2 serves an HTTP/2 connection. Each of its requests is written as
// HTTP/1.1 and goes through the same strict parser and the same instances as any
// other, so a request that would mean something else after the change is refused.
func (s *server) serveH2(nc, under net.Conn, first []byte) {
	m := &h2Conn{base: s.core.newConn(nc, under, nc != under), nc: nc, streams: map[uint32]*h2Stream{},
		window: 65535, initial: 65535, unread: h2ConnWindow}
	m.base.mux, m.room.L = m, &m.mu
	m.r = bufio.NewReaderSize(withPrefix(nc, first), 4<<10)
	m.framer = http2.NewFramer(nil, m.r)
	m.framer.SetReuseFrames()
	m.framer.SetMaxReadFrameSize(h2Frame)
	m.decoder = hpack.NewDecoder(4096, m.text.add)
	m.decoder.SetMaxStringLength(maxHead)
	defer s.core.track(m.base)()
	defer nc.Close()
	m.base.enter(phaseHead)
	err := m.run()
	m.fail(err)
	m.work.Wait()
}

// run reads frames until the connection ends.
func (m *h2Conn) run() error {
	preface := make([]byte, len(h2Preface))
	if _, err := io.ReadFull(m.r, preface); err != nil || string(preface) != h2Preface {
		return errors.Join(errors.New("no preface of HTTP/2"), err)
	}
	m.mu.Lock()
	m.out = appendSettings(m.out)
	m.out = appendWindowUpdate(m.out, 0, h2ConnWindow-65535)
	m.base.enter(phaseIdle)
	m.flush()
	m.mu.Unlock()
	f, err := m.framer.ReadFrame()
	if _, ok := f.(*http2.SettingsFrame); err == nil && !ok {
		err = http2.ConnectionError(http2.ErrCodeProtocol)
	}
	for ; err == nil; f, err = m.framer.ReadFrame() {
		if err = m.frame(f); err != nil {
			var se http2.StreamError
			if !errors.As(err, &se) {
				return err
			}
			m.reset(se)
		}
	}
	return err
}

// frame does what a frame asks for. A http2.StreamError ends one stream, any other
// error the connection.
func (m *h2Conn) frame(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		return m.headers(f)
	case *http2.ContinuationFrame:
		return m.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch f := f.(type) {
	case *http2.DataFrame:
		return m.data(f)
	case *http2.SettingsFrame:
		return m.settings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		m.out = append(appendFrame(m.out, len(f.Data), http2.FramePing, http2.FlagPingAck, 0), f.Data[:]...)
		return m.control()
	case *http2.WindowUpdateFrame:
		return m.windowUpdate(f)
	case *http2.RSTStreamFrame:
		return m.peerReset(f)
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return m.strike(1) // PRIORITY, GOAWAY and what nobody knows
}

// control sends the answer to a frame that serves no request; too many in a
// second, or a peer that does not read the answers, end the connection or hold it up.
func (m *h2Conn) control() error {
	if err := m.strike(1); err != nil {
		return err
	}
	m.flush()
	for len(m.out) > h2Queue && m.err == nil {
		m.room.Wait()
	}
	return m.err
}

func (m *h2Conn) strike(n int) error {
	if m.strikes += n; m.strikes > h2Strikes {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

// headers begins a request, or the trailers of one.
func (m *h2Conn) headers(f *http2.HeadersFrame) error {
	id := f.StreamID
	if id%2 == 0 {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if f.HasPriority() && f.Priority.StreamDep == id {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	m.opened, m.block = f, m.block[:0]
	return m.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// fragment collects a header block; when it is whole, its request is served.
func (m *h2Conn) fragment(b []byte, whole bool) error {
	if len(m.block)+len(b) > maxHead || len(b) == 0 && !whole {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if !whole || len(m.block) > 0 {
		m.block = append(m.block, b...)
		b = m.block
	}
	if !whole {
		return nil
	}
	m.text.reset(m.opened.StreamEnded())
	if _, err := m.decoder.Write(b); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	if err := m.decoder.Close(); err != nil {
		return http2.ConnectionError(http2.ErrCodeCompression)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ended := m.opened.StreamID, m.opened.StreamEnded()
	if id > m.last {
		return m.open(id, ended)
	}
	s := m.streams[id]
	if s == nil {
		return m.strike(1) // of a stream that has just ended here
	}
	return m.trailers(s, ended)
}

// open starts a request on a new stream.
func (m *h2Conn) open(id uint32, ended bool) error {
	m.last = id
	if m.away > 1 {
		return nil // behind the last stream of our GOAWAY; the client asks elsewhere
	}
	if len(m.streams) >= h2Streams {
		if err := m.strike(4); err != nil {
			return err
		}
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream}
	}
	text, refused := m.text.request()
	if refused == errH2 {
		if err := m.strike(4); err != nil {
			return err
		}
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	}
	s := &h2Stream{m: m, id: id, window: m.initial, unread: h2StreamWindow, ended: ended, staged: text,
		chunked: !ended && m.text.length < 0, left: m.text.length, head: m.text.head}
	s.wake.L = &m.mu
	m.streams[id] = s
	if len(m.streams) == 1 {
		m.base.enter(phaseHold) // the streams have their own limits
	}
	s.c = m.base.ofStream(s)
	m.work.Add(1)
	go m.serve(s, s.c, refused)
	return nil
}

// serve answers one request.
func (m *h2Conn) serve(s *h2Stream, c *conn, refused error) {
	defer m.work.Done()
	f := fieldPool.Get().(*fieldSet)
	c.req.fields, c.ans.fields, s.ans.fields = f.req, f.ans, f.out
	if refused != nil {
		c.refuse(refused)
	} else {
		c.serve()
	}
	f.req, f.ans, f.out = c.req.fields[:0], c.ans.fields[:0], s.ans.fields[:0]
	fieldPool.Put(f)
	m.finish(s, c.x.fault == nil)
}

// fieldSet is the memory of the heads of a request.
type fieldSet struct{ req, ans, out []field }

var fieldPool = sync.Pool{New: func() any { return &fieldSet{} }}

// finish ends the stream after its answer. whole: the answer ended as it should.
func (m *h2Conn) finish(s *h2Stream, whole bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, s.id)
	m.give(int64(len(s.body) - s.read))
	s.putBody()
	switch {
	case s.over || m.err != nil:
	case s.closed && !s.ended:
		m.out = appendReset(m.out, s.id, http2.ErrCodeNo)
	case s.closed:
	case s.headed && s.untilEnd && whole:
		m.out = appendFrame(m.out, 0, http2.FrameData, http2.FlagDataEndStream, s.id)
	default:
		m.out = appendReset(m.out, s.id, http2.ErrCodeInternal)
	}
	if len(m.streams) == 0 {
		m.base.enter(phaseIdle)
	}
	m.flush()
}

// flush writes what is queued, unless another goroutine is at it, which then
// writes this too. It releases mu meanwhile.
func (m *h2Conn) flush() {
	if m.flushing != 0 {
		return
	}
	for len(m.out) > 0 && m.err == nil {
		b := m.out
		m.out, m.spare, m.flushing = m.spare[:0], nil, now()
		m.mu.Unlock()
		_, err := m.nc.Write(b)
		m.mu.Lock()
		if cap(b) <= 2*h2Queue {
			m.spare = b[:0]
		}
		if err != nil {
			m.broken(err)
		}
		m.room.Broadcast()
	}
	if m.flushing = 0; len(m.streams) > 0 {
		return
	}
	if m.out, m.spare = nil, nil; m.away > 1 {
		m.nc.Close()
	}
}

// fail ends the connection, saying why if that is the peer's doing.
func (m *h2Conn) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ce := http2.ConnectionError(http2.ErrCodeNo) // as after a time-out: what comes later was not served
	if errors.As(err, &ce); m.err == nil {
		m.out = appendGoAway(m.out, m.last, http2.ErrCode(ce))
		m.flush()
	}
	m.broken(errors.Join(net.ErrClosed, err))
}

// broken ends all streams; mu is held.
func (m *h2Conn) broken(err error) {
	if m.err == nil {
		m.err = err
	}
	var running []*conn
	for _, s := range m.streams {
		s.over = true
		s.wake.Broadcast()
		running = append(running, s.c)
	}
	m.room.Broadcast()
	m.mu.Unlock()
	for _, c := range running {
		c.abandon()
	}
	m.nc.Close()
	m.mu.Lock()
}

// reset ends a stream that broke the rules.
func (m *h2Conn) reset(e http2.StreamError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = appendReset(m.out, e.StreamID, e.Code)
	m.strikes++
	m.drop(e.StreamID)
	m.flush()
}

// drop ends a stream without an answer; mu is held, and released meanwhile.
func (m *h2Conn) drop(id uint32) {
	s := m.streams[id]
	if s == nil || s.over {
		return
	}
	s.over = true
	s.wake.Broadcast()
	c := s.c
	m.mu.Unlock()
	c.abandon()
	m.mu.Lock()
}

// check is the sweep's look at the connection.
func (m *h2Conn) check(at int64, l Limits) {
	m.mu.Lock()
	running := make([]*conn, 0, len(m.streams))
	for _, s := range m.streams {
		running = append(running, s.c)
	}
	m.strikes = 0
	stalled := m.flushing != 0 && at-m.flushing > int64(l.Stream)
	if m.base.core.draining.Load() {
		m.leave()
	}
	m.mu.Unlock()
	if stalled {
		m.nc.Close()
	}
	for _, c := range running {
		c.check(at, l)
	}
}

// leave tells the peer to go elsewhere: first that it should, and a sweep later
// which of its requests are still served. The connection ends with the last.
func (m *h2Conn) leave() {
	switch m.away++; m.away {
	case 1:
		m.out = appendGoAway(m.out, 1<<31-1, http2.ErrCodeNo)
	case 2:
		m.out = appendGoAway(m.out, m.last, http2.ErrCodeNo)
	}
	if m.away <= 2 && m.flushing == 0 {
		go func() { // the sweep does not wait for a peer
			m.mu.Lock()
			defer m.mu.Unlock()
			m.flush()
		}()
	}
}

func appendFrame(o []byte, length int, t http2.FrameType, flags http2.Flags, id uint32) []byte {
	o = append(o, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags))
	return binary.BigEndian.AppendUint32(o, id)
}

func appendSettings(o []byte) []byte {
	settings := []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: h2Streams},
		{ID: http2.SettingInitialWindowSize, Val: h2StreamWindow}, {ID: http2.SettingMaxHeaderListSize, Val: maxHead}}
	o = appendFrame(o, 6*len(settings), http2.FrameSettings, 0, 0)
	for _, s := range settings {
		o = binary.BigEndian.AppendUint16(o, uint16(s.ID))
		o = binary.BigEndian.AppendUint32(o, s.Val)
	}
	return o
}

func appendWindowUpdate(o []byte, id uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(o, 4, http2.FrameWindowUpdate, 0, id), uint32(n))
}

func appendReset(o []byte, id uint32, code http2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(o, 4, http2.FrameRSTStream, 0, id), uint32(code))
}

func appendGoAway(o []byte, last uint32, code http2.ErrCode) []byte {
	o = binary.BigEndian.AppendUint32(appendFrame(o, 8, http2.FrameGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(o, uint32(code))
}
