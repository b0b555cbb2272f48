package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client/frames"
	"github.com/steadpaas/stead/internal/engine"
)

const (
	linger = 5 * time.Second // for the client to take the last frame
	ping   = 15 * time.Second
)

// upgrading says in the document that an operation takes over the connection.
func upgrading(o *huma.Operation) {
	o.DefaultStatus = http.StatusSwitchingProtocols
	o.Description = "Needs HTTP/1.1 with Connection: Upgrade and Upgrade: " + frames.Protocol +
		". Then both sides send frames: one byte kind, four bytes length (big endian, at most 65536), payload. Kinds: " +
		"1 stdin, 2 end of stdin, 3 stdout, 4 stderr, 5 window size (columns and rows, two bytes each), 6 exit code (four bytes), " +
		"7 problem (JSON), 8 ping. 6 or 7 is the last frame. The command ends with the connection."
	o.Responses = map[string]*huma.Response{"101": {Description: "The connection carries frames."}}
}

// handleCommand registers an operation that runs a command on the connection.
func handleCommand[I any](s *server, o huma.Operation, run func(context.Context, *I, engine.Streams) (int, error)) {
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := unwrap(hc)
			if r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), frames.Protocol) {
				s.refuse(hc, stead.Invalid("Upgrade", "a command's streams need an upgraded HTTP/1.1 connection",
					"send Connection: Upgrade and Upgrade: "+frames.Protocol))
				return
			}
			s.command(ctx, w, func(ctx context.Context, st engine.Streams) (int, error) { return run(ctx, in, st) })
		}}, nil
	})
}

// session is one command on one connection. The connection is taken over when
// the command first touches its streams, so that a command that may not run is
// refused as any request is.
type session struct {
	w      http.ResponseWriter
	cancel context.CancelCauseFunc
	once   sync.Once
	err    error // of taking over
	conn   net.Conn
	out    *frames.Writer
	stdin  *io.PipeReader
	feed   *io.PipeWriter
	resize chan engine.Window
	wg     sync.WaitGroup
	ended  chan struct{}
}

// command runs and reports. It returns when nothing of it is left.
func (s *server) command(ctx context.Context, w http.ResponseWriter, run func(context.Context, engine.Streams) (int, error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &session{w: w, cancel: cancel, resize: make(chan engine.Window, 1), ended: make(chan struct{})}
	c.stdin, c.feed = io.Pipe()
	code, err := run(ctx, engine.Streams{Stdin: lazyReader{c}, Stdout: lazyWriter{c, frames.Stdout},
		Stderr: lazyWriter{c, frames.Stderr}, Resize: c.resize})
	c.stdin.Close()
	if err != nil {
		c.once.Do(func() { c.err = net.ErrClosed }) // nobody takes over any more
	} else if open := c.open(); open != nil {
		err = open
	}
	switch {
	case c.conn == nil:
		s.problem(ctx, err).write(w)
		return
	case err != nil:
		data, _ := json.Marshal(s.problem(ctx, err)) // strings and numbers only
		err = c.out.Write(frames.Error, data)
	default:
		err = c.out.WriteExit(code)
	}
	c.close(err == nil)
}

// open takes over the connection, once.
func (c *session) open() error {
	c.once.Do(func() { c.err = c.takeOver() })
	return c.err
}

func (c *session) takeOver() error {
	conn, rw, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return fmt.Errorf("take over connection: %w", err)
	}
	_ = conn.SetDeadline(time.Time{}) // the server's own deadlines end here
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+frames.Protocol+"\r\n\r\n"); err != nil {
		c.cancel(err) // writing to it goes on failing, and close ends it
	}
	c.conn, c.out = conn, frames.NewWriter(conn)
	c.wg.Go(func() { c.read(frames.NewReader(rw.Reader)) })
	c.wg.Go(c.ping)
	return nil
}

// read hands input on until the connection ends, which ends the command.
func (c *session) read(r *frames.Reader) {
	for {
		kind, p, err := r.Read()
		if err != nil {
			c.cancel(fmt.Errorf("client is gone: %w", err))
			c.feed.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		switch kind {
		case frames.Stdin:
			_, _ = c.feed.Write(p) // nobody reads it: discarded
		case frames.StdinEOF:
			c.feed.Close()
		case frames.Resize:
			cols, rows := frames.ParseResize(p)
			c.window(engine.Window{Cols: cols, Rows: rows})
		}
	}
}

// window keeps the newest size only.
func (c *session) window(w engine.Window) {
	select {
	case <-c.resize:
	default:
	}
	c.resize <- w // one slot, and only read fills it
}

func (c *session) ping() {
	t := time.NewTicker(ping)
	defer t.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-t.C:
			if err := c.out.Write(frames.Ping, nil); err != nil {
				c.cancel(fmt.Errorf("client is gone: %w", err))
				c.feed.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
		}
	}
}

// close lets the client take what was sent before the connection goes: closing
// over unread input would reset it.
func (c *session) close(sent bool) {
	close(c.ended)
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && sent && half.CloseWrite() == nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(linger))
	} else {
		c.conn.Close()
	}
	c.wg.Wait()
	c.conn.Close()
}

type lazyReader struct{ c *session }

func (l lazyReader) Read(p []byte) (int, error) {
	if err := l.c.open(); err != nil {
		return 0, err
	}
	return l.c.stdin.Read(p)
}

type lazyWriter struct {
	c    *session
	kind frames.Kind
}

func (l lazyWriter) Write(p []byte) (int, error) {
	if err := l.c.open(); err != nil {
		return 0, err
	}
	return l.c.out.Stream(l.kind).Write(p)
}
