package route

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"

	"github.com/steadpaas/stead"
)

// Client is the control plane's end of the router's control socket. It is safe
// for concurrent use and connects anew for each call, so it outlives routers.
type Client struct{ http *http.Client }

// Dial returns a client for the control socket at that path. It does not
// connect yet; a router that is not there makes the calls fail with
// stead.KindUnavailable.
func Dial(socket string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}}
}

// Publish makes the router serve t and returns when it does. A table older than
// the served one is refused with stead.KindConflict; the same version may be
// published again.
func (c *Client) Publish(ctx context.Context, t *Table) error {
	return c.call(ctx, "PUT", "/table", t, nil)
}

// Certify makes the router use c for handshakes from now on, and returns when it
// does. Open connections go on.
func (c *Client) Certify(ctx context.Context, set *Certificates) error {
	return c.call(ctx, "PUT", "/certificates", set, nil)
}

// Drained returns when no request is in flight on any of the instances; call it
// after publishing a table without them. Upgraded connections (websockets) do
// not count: they last until the instance ends them. Bound it by ctx.
func (c *Client) Drained(ctx context.Context, instances []string) error {
	return c.call(ctx, "POST", "/drained", map[string]any{"instances": instances}, nil)
}

// Stats returns what the router counts.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.call(ctx, "GET", "/stats", nil, &s)
}

// Lines yields access lines in the order the requests ended, until ctx ends, or
// an error when the router does; call it again then. Each line goes to one reader.
func (c *Client) Lines(ctx context.Context) iter.Seq2[AccessLine, error] {
	return follow[AccessLine](ctx, c, "/lines")
}

// follow yields what the router streams.
func follow[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.do(ctx, "GET", path, nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		for dec := json.NewDecoder(resp.Body); ; {
			var x T
			if err := dec.Decode(&x); err != nil {
				if ctx.Err() == nil {
					yield(x, stead.Unavailable("the router's stream ended", "it may be restarting; follow again", err))
				}
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode for the router: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://router"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the router: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, stead.Unavailable("the router does not answer", "see whether steadd router runs", err)
	}
	return resp, nil
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var e wireError
		if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&e) != nil {
			return stead.Unavailable("the router answered "+resp.Status, "see its log", nil)
		}
		return &stead.Error{Kind: stead.ParseKind(e.Kind), Msg: e.Msg, Hint: e.Hint, Field: e.Field}
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
