// Package client is the Go client of Stead's v1 API. The CLI uses nothing else.
//
// A method is one operation of the API and is named like it. Errors are
// *stead.Error with the kind, message, hint and field that the platform gave;
// a platform that does not answer is stead.KindUnavailable. An app is referred
// to by name, ID or path ("space/hello", "org/space/hello").
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// Client talks to one platform as one user. It is safe for concurrent use.
type Client struct {
	base    string
	token   string
	agent   string
	http    *http.Client // requests; HTTP/2 where there is TLS
	streams *http.Client // HTTP/1.1 only: connections that are upgraded
	wait    func(ctx context.Context, d time.Duration) error
}

// Option changes a Client.
type Option func(*Client)

// WithUserAgent sets the User-Agent header.
func WithUserAgent(s string) Option { return func(c *Client) { c.agent = s } }

// WithTransport sets what carries requests, for private roots or proxies. The
// client uses clones of it.
func WithTransport(t *http.Transport) Option { return func(c *Client) { c.setTransport(t) } }

// New returns a client of the platform at baseURL ("http://127.0.0.1:7800").
// An empty token can call Login, Version and nothing else.
func New(baseURL, token string, opts ...Option) *Client {
	c := &Client{base: strings.TrimRight(baseURL, "/"), token: token, agent: "stead-go", wait: sleep}
	c.setTransport(&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       60 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
	})
	for _, o := range opts {
		o(c)
	}
	return c
}

func (c *Client) setTransport(t *http.Transport) {
	c.http = &http.Client{Transport: t.Clone(), CheckRedirect: noRedirect}
	one := t.Clone()
	one.ForceAttemptHTTP2 = false
	one.Protocols = new(http.Protocols)
	one.Protocols.SetHTTP1(true)
	c.streams = &http.Client{Transport: one, CheckRedirect: noRedirect}
}

// noRedirect keeps the token from following a redirect elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// URL returns the base URL.
func (c *Client) URL() string { return c.base }

// call is one request.
type call struct {
	method string
	path   string // escaped; see path
	query  url.Values
	in     any         // JSON body, unless nil
	body   io.Reader   // raw body, unless nil; never retried
	header http.Header // on top of the usual
}

// path joins and escapes the segments of a path under /v1.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	return do[T](ctx, c, call{method: http.MethodGet, path: path, query: q})
}

func send[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	return do[T](ctx, c, call{method: method, path: path, in: in})
}

func remove(ctx context.Context, c *Client, path string, q url.Values) error {
	_, err := do[struct{}](ctx, c, call{method: http.MethodDelete, path: path, query: q})
	return err
}

// do makes the call and decodes its answer; an empty answer is T's zero value.
func do[T any](ctx context.Context, c *Client, k call) (T, error) {
	var out T
	resp, err := c.roundTrip(ctx, k)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	switch {
	case err != nil:
		return out, c.unreachable(ctx, err)
	case resp.StatusCode == http.StatusNoContent || len(data) == 0:
		return out, nil
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, c.notStead(resp, err)
	}
	return out, nil
}

const tries = 3

// roundTrip returns the response of a call that succeeded. GET and PUT are
// tried again when the platform is briefly away; others only if the request
// cannot have reached it.
func (c *Client) roundTrip(ctx context.Context, k call) (*http.Response, error) {
	if k.header == nil {
		k.header = http.Header{}
	}
	if k.method == http.MethodPost {
		k.header.Set("Idempotency-Key", rand.Text())
	}
	for try := 1; ; try++ {
		resp, err := c.once(ctx, c.http, k)
		if err == nil || try == tries || k.body != nil || !retryable(k.method, err) {
			return resp, err
		}
		if err := c.wait(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
			return nil, c.unreachable(ctx, err)
		}
	}
}

func retryable(method string, err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return true
	}
	if errors.Is(err, errNotStead) {
		return false
	}
	return (method == http.MethodGet || method == http.MethodPut) && stead.KindOf(err) == stead.KindUnavailable
}

// once makes one attempt. Any status from 400 up is an error.
func (c *Client) once(ctx context.Context, h *http.Client, k call) (*http.Response, error) {
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, err
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, c.failure(resp)
	}
	return resp, nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	body := k.body
	if k.in != nil {
		data, err := json.Marshal(k.in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	u := c.base + k.path
	if q := k.query.Encode(); q != "" {
		u += "?" + q
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u, body)
	if err != nil || req.URL.Host == "" || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return nil, stead.Invalid("url", fmt.Sprintf("%q is not the address of a platform", c.base), "give a URL such as http://127.0.0.1:7800")
	}
	for key, values := range k.header {
		req.Header[key] = values
	}
	if k.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
