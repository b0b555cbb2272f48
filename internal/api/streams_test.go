package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
	"github.com/steadpaas/stead/internal/engine"
)

type runner func(context.Context, engine.Streams) (int, error)

func commandServer(t *testing.T, run runner) *client.Client {
	s, _ := build(Config{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.command(r.Context(), w, run)
	}))
	t.Cleanup(srv.Close)
	return client.New(srv.URL, "")
}

func TestAttachCarriesStreams(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: many frames
	sizes := make(chan client.Window, 1)
	sizes <- client.Window{Cols: 132, Rows: 43}
	c := commandServer(t, func(_ context.Context, st engine.Streams) (int, error) {
		_, _ = io.WriteString(st.Stderr, "warned")
		if w := <-st.Resize; w != (engine.Window{Cols: 132, Rows: 43}) {
			t.Errorf("window %v", w)
		}
		_, err := io.Copy(st.Stdout, st.Stdin)
		return 7, err
	})
	var out, errs bytes.Buffer
	code, err := c.Attach(t.Context(), "hello", "run.1", client.Streams{Stdin: strings.NewReader(big), Stdout: &out, Stderr: &errs, Resize: sizes})
	if err != nil || code != 7 || out.String() != big || errs.String() != "warned" {
		t.Errorf("exit %d, %v, %d bytes out, %q", code, err, out.Len(), errs.String())
	}
}

func TestAttachRefusedBeforeItsStreams(t *testing.T) {
	c := commandServer(t, func(context.Context, engine.Streams) (int, error) {
		return 0, &stead.Error{Kind: stead.KindForbidden, Msg: "you may not", Hint: "ask"}
	})
	_, err := c.Attach(t.Context(), "hello", "run.1", client.Streams{})
	if e, ok := errors.AsType[*stead.Error](err); !ok || e.Kind != stead.KindForbidden || e.Msg != "you may not" || e.Hint != "ask" {
		t.Errorf("got %v", err)
	}
}

func TestAttachFailsLate(t *testing.T) {
	c := commandServer(t, func(_ context.Context, st engine.Streams) (int, error) {
		_, _ = io.WriteString(st.Stdout, "half")
		return 0, stead.Unavailable("the engine is gone", "try again", nil)
	})
	var out bytes.Buffer
	_, err := c.Attach(t.Context(), "hello", "run.1", client.Streams{Stdout: &out})
	if stead.KindOf(err) != stead.KindUnavailable || out.String() != "half" || !strings.Contains(err.Error(), "engine is gone") {
		t.Errorf("got %v, %q", err, out.String())
	}
}

func TestAttachQuietCommand(t *testing.T) {
	c := commandServer(t, func(context.Context, engine.Streams) (int, error) { return -1, nil })
	code, err := c.Exec(t.Context(), "hello", "", stead.ExecCommand{Args: []string{"true"}}, client.Streams{})
	if err != nil || code != -1 {
		t.Errorf("exit %d, %v", code, err)
	}
}

// A command that leaves its input unread still tells its exit code.
func TestAttachUnreadInput(t *testing.T) {
	c := commandServer(t, func(_ context.Context, st engine.Streams) (int, error) {
		var one [1]byte
		_, _ = io.ReadFull(st.Stdin, one[:])
		return 3, nil
	})
	code, err := c.Attach(t.Context(), "hello", "run.1", client.Streams{Stdin: endless{}})
	if err != nil || code != 3 {
		t.Errorf("exit %d, %v", code, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAttachLostEndsTheCommand(t *testing.T) {
	ended := make(chan struct{})
	started := make(chan struct{})
	c := commandServer(t, func(ctx context.Context, st engine.Streams) (int, error) {
		defer close(ended)
		_, _ = io.WriteString(st.Stdout, "up")
		close(started)
		<-ctx.Done()
		return 0, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	_, err := c.Attach(ctx, "hello", "run.1", client.Streams{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the command outlives its client")
	}
}

func dial(t *testing.T, srv *httptest.Server) *net.TCPConn {
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func FuzzAttach(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2, 'h', 'i', 2, 0, 0, 0, 0})
	f.Add([]byte{5, 0, 0, 0, 4, 0, 1, 0, 1, 9})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0})
	s, _ := build(Config{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.command(r.Context(), w, func(_ context.Context, st engine.Streams) (int, error) {
			_, err := io.Copy(st.Stdout, st.Stdin)
			return 0, err
		})
	}))
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := dial(t, srv)
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"+string(data)); err != nil {
			return
		}
		if err := conn.CloseWrite(); err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the session does not end")
		}
	})
}
