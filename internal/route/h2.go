package route

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

const h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func newReader(b []byte) io.Reader { return bytes.NewReader(bytes.Clone(b)) }

// serveH2 serves an HTTP/2 connection. Each of its requests is written as
// HTTP/1.1 and goes through the same strict parser and the same instances as any
// other, so a request that would mean something else after the change is refused.
func (s *server) serveH2(nc, under net.Conn, first []byte) {
	secure := nc != under
	h := &h2Handler{core: s.core, under: under, secure: secure}
	srv := &http.Server{Handler: h, IdleTimeout: s.core.limits.KeepAlive, MaxHeaderBytes: maxHead}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.core.stopped:
			shut, end := context.WithTimeout(context.Background(), s.cfg.Drain)
			defer end()
			srv.Shutdown(shut) // sends GOAWAY
		case <-ctx.Done():
		}
	}()
	s.h2.ServeConn(withPrefix(nc, first), &http2.ServeConnOpts{Context: ctx, BaseConfig: srv, Handler: h})
	nc.Close()
}

type h2Handler struct {
	core   *core
	under  net.Conn
	secure bool
}

// ServeHTTP passes one request to the forwarding loop over a pipe.
func (h *h2Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	here, there := net.Pipe()
	c := h.core.newConn(there, h.under, h.secure)
	c.peer, c.raw, c.proto, c.single = nil, nil, "http2", true
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer h.core.track(c)()
		c.serve()
	}()
	defer func() { here.Close(); <-done }()
	t := &http.Transport{DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHead * 2,
		ExpectContinueTimeout: time.Minute,
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return here, nil }}
	resp, err := t.RoundTrip(h2Request(r))
	if err != nil {
		if r.Context().Err() == nil {
			http.Error(w, "The request could not be passed on.", http.StatusBadGateway)
		}
		return
	}
	defer resp.Body.Close()
	h.relay(w, resp)
}

func h2Request(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", r.Host
	out.Close = true
	if out.ContentLength == 0 {
		out.Body = nil
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil
	}
	return out
}

func (h *h2Handler) relay(w http.ResponseWriter, resp *http.Response) {
	head := w.Header()
	for k, v := range resp.Header {
		if k != "Connection" {
			head[k] = v
		}
	}
	w.WriteHeader(resp.StatusCode)
	rc := http.NewResponseController(w)
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil || rc.Flush() != nil {
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for k, v := range resp.Trailer {
		head[http.TrailerPrefix+k] = v
	}
}
