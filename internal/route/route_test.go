package route

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type rig struct {
	t      testing.TB
	cfg    Config
	client *Client
	stop   context.CancelFunc
	done   chan error
	addr   string
}

func start(t testing.TB, l Limits) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	r := &rig{t: t, addr: addr, cfg: Config{HTTP: addr, Socket: filepath.Join(dir, "r.sock"), StateDir: dir, Limits: l, Drain: 5 * time.Second}}
	r.client = Dial(r.cfg.Socket)
	r.run(r.cfg)
	t.Cleanup(func() { r.stop(); <-r.done })
	return r
}

func (r *rig) run(cfg Config) {
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.done = stop, make(chan error, 1)
	done := r.done
	go func() { done <- Serve(ctx, cfg); close(done) }()
	wait(r.t, func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			return false
		}
		c.Close()
		_, err = r.client.Stats(ctx)
		return err == nil
	})
}

func wait(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("condition not met in 10 s")
		}
	}
}

var versions atomic.Int64

func rule(host string, addrs ...string) Rule {
	r := Rule{Host: host, Path: "/", Released: true, Quantity: len(addrs), LogStream: "app/x"}
	for i, a := range addrs {
		r.Backends = append(r.Backends, Backend{Instance: host + a, Name: fmt.Sprint("web.", i+1), Address: a})
	}
	return r
}

func (r *rig) publish(rules ...Rule) {
	r.t.Helper()
	if err := r.client.Publish(context.Background(), &Table{Version: versions.Add(1), Routes: rules}); err != nil {
		r.t.Fatal(err)
	}
}

func backendServer(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// rawBackend answers each connection's first head with text, then closes.
func rawBackend(t testing.TB, text string) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, text)
			}()
		}
	}()
	return ln.Addr().String()
}

func (r *rig) raw(text string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, text)
	c.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}

func (r *rig) get(host, path string, edit ...func(*http.Request)) (*http.Response, string) {
	r.t.Helper()
	req, _ := http.NewRequest("GET", "http://"+r.addr+path, nil)
	req.Host = host
	for _, e := range edit {
		e(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(b)
}

func TestForward(t *testing.T) {
	r := start(t, Limits{})
	var seen atomic.Pointer[http.Request]
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		seen.Store(q)
		b, _ := io.ReadAll(q.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s %s %d", q.Method, q.URL.Path, len(b))
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "7")
	})
	r.publish(rule("a.test", a))
	resp, body := r.get("a.test", "/x?y", func(q *http.Request) {
		q.Header.Set("X-Forwarded-For", "6.6.6.6")
		q.Header.Set("X_Forwarded_For", "6.6.6.6")
		q.Header.Set("X-Request-Id", "short")
	})
	if body != "GET /x 0" || resp.StatusCode != 200 || resp.Trailer.Get("X-Sum") != "7" {
		t.Fatalf("got %d %q %v", resp.StatusCode, body, resp.Trailer)
	}
	q := seen.Load()
	if q.Header.Get("X-Forwarded-For") != "127.0.0.1" || q.Header.Get("X_forwarded_for") != "" || len(q.Header.Get("X-Request-Id")) != 36 {
		t.Errorf("headers: %v", q.Header)
	}
	for _, size := range []int{1, 20_000, 5 << 20} {
		for _, chunked := range []bool{false, true} {
			var rd io.Reader = bytes.NewReader(make([]byte, size))
			if chunked {
				rd = io.MultiReader(rd)
			}
			req, _ := http.NewRequest("POST", "http://"+r.addr+"/up", rd)
			req.Host = "a.test"
			req.Header.Set("Expect", "100-continue")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("POST /up %d", size); string(b) != want {
				t.Errorf("size %d chunked %v: %q", size, chunked, b)
			}
		}
	}
	if _, body := r.get("unknown.test", "/"); !strings.Contains(body, "H99") {
		t.Errorf("unknown host: %q", body)
	}
}

func TestFaults(t *testing.T) {
	r := start(t, Limits{FirstByte: 100 * time.Millisecond, Boot: 50 * time.Millisecond, Sweep: 20 * time.Millisecond, Head: 100 * time.Millisecond})
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	refusing := ln.Addr().String()
	ln.Close()
	block := make(chan struct{})
	slow := backendServer(t, func(http.ResponseWriter, *http.Request) { <-block })
	t.Cleanup(func() { close(block) })
	ok := backendServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	crashed, empty, boot, maint, blank := rule("h10.test"), rule("h14.test"), rule("h20.test"), rule("h80.test", ok), rule("h81.test", ok)
	crashed.Crashed, crashed.Quantity, boot.Quantity, maint.Maintenance, blank.Released = true, 1, 1, true, false
	r.publish(crashed, empty, boot, maint, blank, rule("h12.test", slow), rule("h13.test", rawBackend(t, "")),
		rule("h17.test", rawBackend(t, "lorem ipsum\r\n\r\n")), rule("h21.test", refusing), rule("ok.test", refusing, ok),
		rule("h17b.test", rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")))
	for _, h := range []string{"h10", "h12", "h13", "h14", "h17", "h17b", "h20", "h21", "h80", "h81"} {
		resp, body := r.get(h+".test", "/")
		code := strings.ToUpper(h[:3])
		if resp.StatusCode != 503 || !strings.Contains(body, code) || resp.Header.Get("X-Stead-Error") != code {
			t.Errorf("%s: %d %v", h, resp.StatusCode, resp.Header)
		}
	}
	for range 20 {
		if resp, _ := r.get("ok.test", "/"); resp.StatusCode != 200 {
			t.Fatal("a refusing instance was not left out")
		}
	}
	if got := r.raw("GET / HTTP/1.1\r\nHost: ok.test\r\nAccept: application/json\r\n"); got != "" && !strings.Contains(got, " 408 ") {
		t.Errorf("unfinished head: %q", got)
	}
}

var smuggling = map[string]string{
	"cl.te":             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"te.cl":             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
	"te.te":             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
	"te list":           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"te xchunked":       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
	"te space colon":    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
	"te vertical tab":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
	"te 1.0":            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	"te underscore":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
	"cl twice":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
	"cl list":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd",
	"cl plus":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
	"cl minus":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	"cl hex":            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd",
	"cl huge":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"cl empty":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
	"obs-fold":          "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
	"fold first":        "GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n",
	"bare lf":           "GET / HTTP/1.1\nHost: a\n\n",
	"bare lf in fields": "GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n",
	"bare cr":           "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n",
	"nul":               "GET / HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n",
	"no colon":          "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
	"empty name":        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
	"two hosts":         "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"no host":           "GET / HTTP/1.1\r\n\r\n",
	"host path":         "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"host differs":      "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"space in target":   "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
	"two spaces":        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
	"tab":               "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
	"version":           "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
	"version long":      "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
	"0.9":               "GET /\r\n\r\n",
	"leading empty":     "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"connect":           "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
	"trailer cl":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
	"fragment":          "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
	"percent":           "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"large":             "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n",
	"many fields":       "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 300) + "\r\n",
	"chunk size":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	"chunk 0x":          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
	"chunk space":       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
	"chunk lf":          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
	"chunk long":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	"chunk ext lf":      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\ny\r\na\r\n0\r\n\r\n",
}

func TestSmuggling(t *testing.T) {
	r := start(t, Limits{})
	var served atomic.Int64
	a := backendServer(t, func(_ http.ResponseWriter, q *http.Request) {
		if _, err := io.ReadAll(q.Body); err == nil {
			served.Add(1)
		}
	})
	r.publish(rule("a", a))
	for name, text := range smuggling {
		got := r.raw(text + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.1 5") || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: %.60q", name, got)
		}
	}
	if served.Load() != 0 {
		t.Errorf("%d malformed requests reached the instance", served.Load())
	}
}

// What we accept, net/http must understand the same way.
func FuzzHead(f *testing.F) {
	for _, s := range smuggling {
		f.Add([]byte(s))
	}
	f.Add([]byte("POST http://a/b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST /b HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, _, err := headEnd(b, 0)
		if err != nil || end == 0 {
			return
		}
		var h head
		if h.parseRequest(b[:end]) != nil {
			return
		}
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatalf("accepted %q; net/http: %v", b, err)
		}
		if q.Method != string(h.method) || !strings.EqualFold(q.Host, string(h.host)) || q.ProtoMinor != h.minor {
			t.Fatalf("%q: %s %s against %s %s", b, h.method, h.host, q.Method, q.Host)
		}
		if want := max(h.length, 0); !h.chunked && q.ContentLength != want || h.chunked != (len(q.TransferEncoding) == 1) {
			t.Fatalf("%q: framing %d %v against %d %v", b, h.length, h.chunked, q.ContentLength, q.TransferEncoding)
		}
		if h.chunked {
			sameChunks(t, b[end:], q)
		}
	})
}

func sameChunks(t *testing.T, b []byte, q *http.Request) {
	r := chunkReader{keep: true}
	if _, err := r.feed(b); err != nil || !r.done() {
		return
	}
	got, err := io.ReadAll(q.Body)
	if err != nil || !bytes.Equal(got, r.data) {
		t.Fatalf("%q: %q against %q %v", b, r.data, got, err)
	}
}

func TestUpgrade(t *testing.T) {
	r := start(t, Limits{})
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil || q.Header.Get("Upgrade") != "echo" {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, rw)
	})
	r.publish(rule("a.test", a))
	got := r.raw("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
	if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Fatalf("%q", got)
	}
}

// load keeps requests running until stop, and counts those that failed.
func (r *rig) load(host string, workers int) (stop func() (n, failed int64)) {
	var n, failed atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for w := range workers {
		wg.Go(func() {
			tr := &http.Transport{DisableKeepAlives: w%4 == 0}
			defer tr.CloseIdleConnections()
			tick := time.NewTicker(time.Duration(workers) * 2 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				var body io.Reader
				method := "GET"
				if w%2 == 0 {
					method, body = "POST", strings.NewReader("body")
				}
				q, _ := http.NewRequest(method, "http://"+r.addr+"/", body)
				q.Host = host
				resp, err := tr.RoundTrip(q)
				if n.Add(1); err != nil {
					r.t.Log(err)
					failed.Add(1)
					continue
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
					r.t.Log(resp.StatusCode, resp.Header.Get("X-Stead-Error"), err)
					failed.Add(1)
				}
				resp.Body.Close()
			}
		})
	}
	return func() (int64, int64) { cancel(); wg.Wait(); return n.Load(), failed.Load() }
}

func TestZeroLossSwap(t *testing.T) {
	r := start(t, Limits{})
	serve := func() *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Millisecond)
			w.Write(make([]byte, 1024))
		}))
	}
	old := serve()
	r.publish(rule("a.test", old.Listener.Addr().String()))
	stop := r.load("a.test", 16)
	swaps := 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); swaps++ {
		next := serve()
		r.publish(rule("a.test", next.Listener.Addr().String()))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := r.client.Drained(ctx, []string{"a.test" + old.Listener.Addr().String()}); err != nil {
			t.Error(err)
		}
		cancel()
		old.CloseClientConnections()
		old.Close()
		old = next
	}
	n, failed := stop()
	old.Close()
	t.Logf("requests=%d failed=%d swaps=%d", n, failed, swaps)
	if failed != 0 || n < 500 {
		t.Errorf("requests=%d failed=%d", n, failed)
	}
}

func TestZeroLossTakeOver(t *testing.T) {
	r := start(t, Limits{})
	a := backendServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1024)) })
	r.publish(rule("a.test", a))
	stop := r.load("a.test", 16)
	for range 5 {
		before, end := r.done, r.stop
		r.run(r.cfg)
		if err := <-before; err != nil {
			t.Error(err)
		}
		end()
		wait(t, func() bool { _, err := r.client.Stats(t.Context()); return err == nil }) // the next one can ask it
	}
	n, failed := stop()
	t.Logf("requests=%d failed=%d take-overs=5", n, failed)
	if failed != 0 {
		t.Errorf("requests=%d failed=%d", n, failed)
	}
}

func TestTable(t *testing.T) {
	wild, deep := rule("*.w.test", "127.0.0.1:1"), rule("a.test", "127.0.0.1:2")
	deep.Path = "/api/v1"
	k := newCore(Config{}.orDefaults())
	if err := k.publish(&Table{Version: 2, Routes: []Rule{wild, deep, rule("a.test", "127.0.0.1:3")}}); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"a.test/api/v1": "2", "a.test/api/v1/x": "2", "a.test/api/v10": "3", "a.test/": "3",
		"x.w.test/": "1", "x.y.w.test/": "", "w.test/": ""} {
		host, path, _ := strings.Cut(in, "/")
		got := k.table.Load().find([]byte(host), []byte("/"+path))
		if want == "" != (got == nil) || got != nil && got.backends[0].Address != "127.0.0.1:"+want {
			t.Errorf("%s: %+v", in, got)
		}
	}
	if err := k.publish(&Table{Version: 1}); err == nil {
		t.Error("an older table was taken")
	}
}
