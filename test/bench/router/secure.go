package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// secure is load over TLS: HTTP/1.1 in keep-alive, or HTTP/2 with several
// streams a connection.
type secure struct {
	addr, host, path string
	conns, streams   int // streams 0: HTTP/1.1
	tally            *tally
}

func (s *secure) run(end <-chan struct{}) error {
	var wg sync.WaitGroup
	errs := make(chan error, s.conns)
	for range s.conns {
		wg.Go(func() { errs <- s.one(end) })
	}
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

func (s *secure) one(end <-chan struct{}) error {
	proto := "http/1.1"
	if s.streams > 0 {
		proto = "h2"
	}
	// The certificate is made for the run; what is measured is its cost.
	c, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: s.host, InsecureSkipVerify: true, NextProtos: []string{proto}})
	if err != nil {
		return err
	}
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != proto && s.streams > 0 {
		return fmt.Errorf("wanted %s, got %q", proto, got)
	}
	go func() { <-end; c.Close() }()
	if s.streams > 0 {
		err = s.h2(c)
	} else {
		err = s.h1(c)
	}
	select {
	case <-end:
		return nil
	default:
		return err
	}
}

func (s *secure) h1(c *tls.Conn) error {
	req := []byte(plainRequest(s.host, s.path))
	r := bufio.NewReaderSize(c, 32<<10)
	for {
		began := time.Now()
		if _, err := c.Write(req); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			s.tally.fail(errors.New(resp.Status))
			continue
		}
		s.tally.add(time.Since(began))
	}
}

// session is one HTTP/2 connection of the load.
type session struct {
	*secure
	framer *http2.Framer
	out    *bufio.Writer
	block  *hpack.Encoder
	pairs  writer
	next   uint32
	began  map[uint32]time.Time
	unseen uint32 // bytes of the connection's window not given back
}

type writer struct{ b []byte }

func (w *writer) Write(p []byte) (int, error) { w.b = append(w.b, p...); return len(p), nil }

func (s *secure) h2(c *tls.Conn) error {
	h := &session{secure: s, out: bufio.NewWriter(c), next: 1, began: map[uint32]time.Time{}}
	h.framer = http2.NewFramer(h.out, bufio.NewReaderSize(c, 64<<10))
	h.framer.SetReuseFrames()
	h.block = hpack.NewEncoder(&h.pairs)
	if _, err := h.out.WriteString(http2.ClientPreface); err != nil {
		return err
	}
	if err := errors.Join(h.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}),
		h.framer.WriteWindowUpdate(0, 1<<24)); err != nil {
		return err
	}
	for range s.streams {
		if err := h.ask(); err != nil {
			return err
		}
	}
	decoder := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" && f.Value != "200" {
			s.tally.fail(errors.New("status " + f.Value))
		}
	})
	for {
		if err := h.out.Flush(); err != nil {
			return err
		}
		f, err := h.framer.ReadFrame()
		if err != nil {
			return err
		}
		if err := h.on(f, decoder); err != nil {
			return err
		}
	}
}

func (h *session) ask() error {
	h.pairs.b = h.pairs.b[:0]
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", h.host}, {":path", h.path}, {"user-agent", "bench"}, {"accept", "*/*"}} {
		if err := h.block.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	h.began[h.next] = time.Now()
	err := h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: h.next, BlockFragment: h.pairs.b, EndStream: true, EndHeaders: true})
	h.next += 2
	return err
}

func (h *session) on(f http2.Frame, d *hpack.Decoder) error {
	ended := false
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return h.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return h.framer.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		if _, err := d.Write(f.HeaderBlockFragment()); err != nil {
			return err
		}
		ended = f.StreamEnded()
	case *http2.DataFrame:
		ended = f.StreamEnded()
		if h.unseen += f.Length; h.unseen > 1<<20 {
			if err := h.framer.WriteWindowUpdate(0, h.unseen); err != nil {
				return err
			}
			h.unseen = 0
		}
	case *http2.RSTStreamFrame:
		h.tally.fail(fmt.Errorf("stream reset: %v", f.ErrCode))
		delete(h.began, f.StreamID)
		return h.ask()
	case *http2.GoAwayFrame:
		if len(h.began) == 0 || f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("goaway: %v %s", f.ErrCode, f.DebugData())
		}
		h.tally.fail(errors.New("goaway"))
	}
	if !ended {
		return nil
	}
	id := f.Header().StreamID
	h.tally.add(time.Since(h.began[id]))
	delete(h.began, id)
	return h.ask()
}
