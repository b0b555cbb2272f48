package route

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestHTTP2(t *testing.T) {
	r, safe := startTLS(t)
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		io.WriteString(w, q.Header.Get("X-Forwarded-Proto")+" "+string(b))
	})
	r.publish(rule("a.stead.test", a))
	p := selfSigned(t, 1, "*.stead.test")
	r.certify(Certificates{Pairs: []Pair{p}})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(p.Chain))
	for _, major := range []int{1, 2} {
		tr := &http.Transport{ForceAttemptHTTP2: major == 2, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "a.stead.test"}}
		for range 3 {
			q, _ := http.NewRequest("POST", "https://"+safe+"/", io.MultiReader(strings.NewReader("hello")))
			q.Host = "a.stead.test"
			resp, err := tr.RoundTrip(q)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.ProtoMajor != major || string(b) != "https hello" {
				t.Errorf("%s %q", resp.Proto, b)
			}
		}
		tr.CloseIdleConnections()
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &protocols}
	q, _ := http.NewRequest("GET", "http://"+r.addr+"/", nil)
	q.Host = "a.stead.test"
	resp, err := tr.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); resp.ProtoMajor != 2 || string(b) != "http " {
		t.Errorf("h2c: %s %q", resp.Proto, b)
	}
	resp.Body.Close()
	tr.CloseIdleConnections()
}

// A connection that the instance closed while it was idle costs GETs nothing.
func TestRetryOnReused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var posts atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // answers once, then closes on the second request
				defer c.Close()
				br := bufio.NewReader(c)
				for i := range 2 {
					q, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					if q.Method == "POST" {
						posts.Add(1)
					}
					if i == 0 {
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				}
			}()
		}
	}()
	r := start(t, Limits{})
	r.publish(rule("a.test", ln.Addr().String()))
	for range 6 {
		if resp, body := r.get("a.test", "/"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
	resp, _ := r.get("a.test", "/", func(q *http.Request) { q.Method = "POST" })
	if posts.Load() != 1 {
		t.Errorf("a POST was sent %d times (%d)", posts.Load(), resp.StatusCode)
	}
}

func TestLinesAndClientLeaves(t *testing.T) {
	r := start(t, Limits{Sweep: 20 * time.Millisecond})
	started := make(chan struct{})
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			close(started)
			<-q.Context().Done()
		}
	})
	r.publish(rule("a.test", a))
	r.get("a.test", "/ok?secret=%22")
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
	<-started
	c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.client.Drained(ctx, []string{"a.test" + a}); err != nil {
		t.Fatal(err)
	}
	want := []string{`at=info method=GET path="/ok?secret=%22" host=a.test request_id=`, "at=error code=H27 "}
	for l, err := range r.client.Lines(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(l.Text, want[0]) || l.Stream != "app/x" || !strings.Contains(l.Text, " dyno=web.1 instance=web.1 connect=") {
			t.Errorf("%+v", l)
		}
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
}

func TestConcurrent(t *testing.T) {
	r := start(t, Limits{})
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.URL.Path) })
	b := backendServer(t, func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.URL.Path) })
	r.publish(rule("a.test", a, b))
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range 500 {
		wg.Go(func() {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for range 4 {
				path := "/" + strings.Repeat("x", i)
				q, _ := http.NewRequest("GET", "http://"+r.addr+path, nil)
				q.Host = "a.test"
				resp, err := tr.RoundTrip(q)
				if err != nil {
					failed.Add(1)
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != path {
					failed.Add(1)
				}
			}
		})
	}
	if wg.Wait(); failed.Load() != 0 {
		t.Errorf("%d of 2000 failed", failed.Load())
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProxy compares CPU per request with a tuned httputil.ReverseProxy.
// Client and instance run in the same process; "direct" is their share.
func BenchmarkProxy(b *testing.B) {
	log.SetOutput(io.Discard)
	body := make([]byte, 1024)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }))
	defer back.Close()
	addr := back.Listener.Addr().String()
	r := start(b, Limits{})
	r.publish(rule("a.test", addr))
	u, _ := url.Parse(back.URL)
	rp := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u); p.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000, MaxIdleConns: 1000, DisableCompression: true}})
	defer rp.Close()
	for _, s := range []struct{ name, addr string }{{"direct", addr}, {"reverseproxy", rp.Listener.Addr().String()}, {"stead", r.addr}} {
		b.Run(s.name, func(b *testing.B) { benchmark(b, s.addr) })
	}
}

func benchmark(b *testing.B, addr string) {
	begin := cpu()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		br := bufio.NewReader(c)
		for pb.Next() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 200 {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
		}
	})
	b.ReportMetric(float64(cpu()-begin)/float64(b.N), "cpu-ns/op")
}

// TestTakeOverIdle has a successor replace a router that nobody connects to.
func TestTakeOverIdle(t *testing.T) {
	r := start(t, Limits{})
	before, end := r.done, r.stop
	r.run(r.cfg)
	select {
	case err := <-before:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the predecessor still accepts")
	}
	end()
}
