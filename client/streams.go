package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client/frames"
)

// Window is the size of a terminal, in characters.
type Window struct{ Cols, Rows uint16 }

// Streams connects a command. Nil streams are empty or discarded. With a TTY,
// Stderr is not used and Resize carries window sizes; close it or leave it.
type Streams struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Resize <-chan Window
}

// Attach runs an attached task on the streams and returns its exit code. The
// task ends when ctx does or when the connection breaks. A Read of Stdin that
// is under way when the command ends is left behind.
func (c *Client) Attach(ctx context.Context, app, task string, s Streams) (int, error) {
	return c.connect(ctx, call{path: path("apps", app, "tasks", task, "attach")}, s)
}

// Exec runs a command in a running instance ("web.1"; "": any of web) and
// returns its exit code. Connection and Stdin are as for Attach.
func (c *Client) Exec(ctx context.Context, app, instance string, cmd stead.ExecCommand, s Streams) (int, error) {
	q := url.Values{}
	set(q, "instance", instance)
	return c.connect(ctx, call{path: path("apps", app, "exec"), query: q, in: cmd}, s)
}

func (c *Client) connect(ctx context.Context, k call, s Streams) (int, error) {
	k.method = http.MethodPost
	k.header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {frames.Protocol}}
	resp, err := c.upgrade(ctx, k)
	if err != nil {
		return 0, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body.Close()
		return 0, c.notStead(resp, nil)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	done := make(chan struct{})
	defer close(done)
	w := frames.NewWriter(conn)
	go sendInput(w, s.Stdin)
	go sendWindows(w, s.Resize, done)
	code, err := receive(frames.NewReader(conn), w, s)
	if err != nil {
		return 0, c.lost(ctx, err)
	}
	return code, nil
}

func (c *Client) upgrade(ctx context.Context, k call) (*http.Response, error) {
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, err
	}
	resp, err := c.streams.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, c.failure(resp)
	}
	return resp, nil
}

// sendInput ends with the input or with the connection.
func sendInput(w *frames.Writer, r io.Reader) {
	if r != nil {
		if _, err := io.Copy(w.Stream(frames.Stdin), r); err != nil {
			return // the connection is gone; receive tells
		}
	}
	_ = w.Write(frames.StdinEOF, nil)
}

func sendWindows(w *frames.Writer, windows <-chan Window, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case size, ok := <-windows:
			if !ok || w.WriteResize(size.Cols, size.Rows) != nil {
				return
			}
		}
	}
}

// receive hands output on until the command's end.
func receive(r *frames.Reader, w *frames.Writer, s Streams) (int, error) {
	for {
		kind, p, err := r.Read()
		if err != nil {
			return 0, err
		}
		switch kind {
		case frames.Stdout:
			err = output(s.Stdout, p)
		case frames.Stderr:
			err = output(s.Stderr, p)
		case frames.Ping:
			err = w.Write(frames.Ping, nil)
		case frames.Exit:
			return frames.ParseExit(p), nil
		case frames.Error:
			var problem stead.Problem
			if err := json.Unmarshal(p, &problem); err != nil {
				return 0, err
			}
			return 0, problem.Err()
		}
		if err != nil {
			return 0, err
		}
	}
}

func output(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(p)
	return err
}

// lost is the error of a command whose connection broke.
func (c *Client) lost(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*stead.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return c.unreachable(ctx, err)
	}
	return stead.Unavailable("the connection to the command was lost, and the command was ended", "run it again; use --detach for long work", err)
}
