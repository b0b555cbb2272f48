package route

import (
	"golang.org/x/net/http2"
)

// settings takes the peer's settings over and acknowledges them.
func (m *h2Conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return m.strike(1)
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		if s.ID != http2.SettingInitialWindowSize {
			return nil // frames of the least size and fields without a table need no more
		}
		change := int64(s.Val) - m.initial
		m.initial = int64(s.Val)
		for _, st := range m.streams {
			if st.window += change; st.window > 1<<31-1 {
				return http2.ConnectionError(http2.ErrCodeFlowControl)
			}
			st.wake.Broadcast()
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.out = appendFrame(m.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	return m.control()
}

func (m *h2Conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	n := int64(f.Increment)
	if f.StreamID == 0 {
		if m.window += n; m.window > 1<<31-1 {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		for _, s := range m.streams {
			s.wake.Broadcast()
		}
		return nil
	}
	s := m.streams[f.StreamID]
	if s == nil {
		return m.idle(f.StreamID)
	}
	if s.window += n; s.window > 1<<31-1 {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
	}
	s.wake.Broadcast()
	return nil
}

// idle refuses a frame of a stream that was never opened; one that has ended may
// still have frames on the way.
func (m *h2Conn) idle(id uint32) error {
	if id > m.last || id%2 == 0 {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return m.strike(1)
}

// peerReset ends a stream that the client has no more use for. Each costs a
// request that was begun, so few in a second are taken.
func (m *h2Conn) peerReset(f *http2.RSTStreamFrame) error {
	if m.streams[f.StreamID] == nil {
		return m.idle(f.StreamID)
	}
	m.drop(f.StreamID)
	return m.strike(4)
}

// data keeps a part of a request's body for its stream.
func (m *h2Conn) data(f *http2.DataFrame) error {
	n := int64(f.Length)
	if m.unread -= n; m.unread < 0 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	s := m.streams[f.StreamID]
	if s == nil || s.over {
		m.give(n)
		if s == nil {
			return m.idle(f.StreamID)
		}
		return m.strike(1)
	}
	if s.unread -= n; s.unread < 0 {
		m.give(n)
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
	}
	if s.ended {
		m.give(n)
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeStreamClosed}
	}
	b := f.Data()
	m.give(n - int64(len(b))) // padding
	s.giveBack(n - int64(len(b)))
	if s.left >= 0 {
		if s.left -= int64(len(b)); s.left < 0 || f.StreamEnded() && s.left > 0 {
			m.give(int64(len(b)))
			return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
		}
	}
	s.keep(b)
	s.ended = f.StreamEnded()
	s.wake.Broadcast()
	if len(b) == 0 && !s.ended {
		return m.strike(1)
	}
	return nil
}

// give lets the peer send n more bytes, at once or with later ones.
func (m *h2Conn) give(n int64) {
	if m.credit += n; m.credit >= h2ConnWindow/4 {
		m.out = appendWindowUpdate(m.out, 0, m.credit)
		m.unread += m.credit
		m.credit = 0
		m.flushSoon()
	}
}

// flushSoon leaves writing to a goroutine that is about to, or starts one: callers
// hold mu and are not to lose it.
func (m *h2Conn) flushSoon() {
	if m.flushing == 0 {
		m.work.Go(func() {
			m.mu.Lock()
			m.flush()
			m.mu.Unlock()
		})
	}
}

// trailers ends a body.
func (m *h2Conn) trailers(s *h2Stream, ended bool) error {
	if s.over {
		return m.strike(1)
	}
	text, ok := m.text.trailers()
	if !ended || !ok || s.ended || s.left > 0 {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	s.tail, s.ended = text, true
	s.wake.Broadcast()
	return nil
}
