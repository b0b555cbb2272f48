package route

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw2 is a client of HTTP/2 that may send anything.
type raw2 struct {
	t     testing.TB
	nc    net.Conn
	f     *http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
}

func (r *rig) http2(settings ...http2.Setting) *raw2 {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &raw2{t: r.t, nc: nc, f: http2.NewFramer(nc, nc), next: 1}
	c.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.f.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.block)
	io.WriteString(nc, http2.ClientPreface)
	c.f.WriteSettings(settings...)
	return c
}

// fields are "name", "value", …
func (c *raw2) head(end bool, fields ...string) uint32 {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	id := c.next
	c.next += 2
	c.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: end})
	return id
}

func (c *raw2) get(path string) uint32 {
	return c.head(true, ":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", path)
}

// end reads until the stream ends and says how: its status, "reset CODE", "goaway
// CODE" or "closed".
func (c *raw2) end(id uint32) string {
	status := ""
	for {
		f, err := c.f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				if v := f.PseudoValue("status"); v != "" {
					status = v
				}
				if f.StreamEnded() {
					return status
				}
			}
		case *http2.DataFrame:
			if f.StreamID == id && f.StreamEnded() {
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "reset " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "goaway " + f.ErrCode.String()
			}
		}
	}
}

// What HTTP/2 lets through and HTTP/1.1 reads as something else must not reach an
// instance.
func TestDowngrade(t *testing.T) {
	r := start(t, Limits{})
	var served atomic.Int64
	r.publish(rule("a.test", backendServer(t, func(_ http.ResponseWriter, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err == nil && q.URL.Path != "/good" {
			served.Add(1)
		}
	})))
	base := []string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/"}
	with := func(f ...string) []string { return append(append([]string(nil), base...), f...) }
	long := strings.Repeat("x", 3000) // enters the table: small on the wire
	for name, fields := range map[string][]string{
		"transfer-encoding": with("transfer-encoding", "chunked"), "connection": with("connection", "close"),
		"keep-alive": with("keep-alive", "1"), "proxy-connection": with("proxy-connection", "close"), "upgrade": with("upgrade", "websocket"),
		"te": with("te", "gzip"), "capital": with("X-Big", "1"), "empty name": with("", "x"), "space in name": with("x y", "1"), "colon in name": with("x:y", "1"),
		"crlf in name": with("x\r\nhost", "b"), "crlf in value": with("x", "a\r\nhost: b"), "lf in value": with("x", "a\nb"), "cr in value": with("x", "a\rb"),
		"nul in value": with("x", "a\x00b"), "blank before value": with("x", " a"), "blank behind value": with("x", "a "),
		"cl twice": with("content-length", "0", "content-length", "0"), "cl list": with("content-length", "0, 0"), "cl sign": with("content-length", "+0"),
		"cl without body": with("content-length", "5"), "underscore": with("content_length", "5"), "underscore te": with("transfer_encoding", "chunked"),
		"host differs": with("host", "b.test"), "two hosts": with("host", "a.test", "host", "b.test"),
		"pseudo behind":   {":method", "GET", ":scheme", "http", ":authority", "a.test", "x", "y", ":path", "/"},
		"pseudo twice":    with(":path", "/b"),
		"pseudo unknown":  with(":status", "200"),
		"pseudo protocol": with(":protocol", "websocket"),
		"no method":       {":scheme", "http", ":authority", "a.test", ":path", "/"},
		"no path":         {":method", "GET", ":scheme", "http", ":authority", "a.test"},
		"no scheme":       {":method", "GET", ":authority", "a.test", ":path", "/"},
		"no authority":    {":method", "GET", ":scheme", "http", ":path", "/"},
		"scheme":          {":method", "GET", ":scheme", "ftp", ":authority", "a.test", ":path", "/"},
		"empty path":      {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", ""},
		"relative path":   {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "x"},
		"absolute path":   {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "http://b.test/"},
		"crlf in path":    {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/ HTTP/1.1\r\nhost: b\r\n\r\nGET /"},
		"space in path":   {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/ x"},
		"crlf in method":  {":method", "GET / HTTP/1.1\r\n", ":scheme", "http", ":authority", "a.test", ":path", "/"},
		"bad method":      {":method", "GE(T", ":scheme", "http", ":authority", "a.test", ":path", "/"},
		"connect":         {":method", "CONNECT", ":authority", "a.test:80"},
		"userinfo":        {":method", "GET", ":scheme", "http", ":authority", "x@a.test", ":path", "/"},
		"crlf authority":  {":method", "GET", ":scheme", "http", ":authority", "a.test\r\nx: y", ":path", "/"},
		"fragment":        {":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/#x"},
		"large":           with(strings.Split(strings.Repeat("x,"+long+",", 12)+"x,y", ",")...),
		"many fields":     with(strings.Split(strings.Repeat("x,y,", maxFields)+"x,y", ",")...),
	} {
		c := r.http2()
		got := c.end(c.head(true, fields...))
		if !strings.HasPrefix(got, "reset ") && !strings.HasPrefix(got, "4") && !strings.HasPrefix(got, "goaway") {
			t.Errorf("%s: %q", name, got)
		}
		if strings.HasPrefix(got, "goaway") {
			continue
		}
		if got := c.end(c.get("/good")); got != "200" { // the connection has kept its state
			t.Errorf("after %s: %q", name, got)
		}
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d malformed requests reached the instance", n)
	}
}

// A body is as long as it says.
func TestDowngradeBody(t *testing.T) {
	r := start(t, Limits{})
	r.publish(rule("a.test", backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		b, err := io.ReadAll(q.Body)
		fmt.Fprint(w, len(b), q.Trailer, err)
	})))
	post := func(c *raw2, more ...string) uint32 {
		return c.head(false, append([]string{":method", "POST", ":scheme", "http", ":authority", "a.test", ":path", "/"}, more...)...)
	}
	for name, want := range map[string]string{"short": "reset PROTOCOL_ERROR", "long": "reset PROTOCOL_ERROR", "exact": "200", "free": "200", "trailers": "200",
		"pseudo trailers": "reset PROTOCOL_ERROR", "framing trailers": "reset PROTOCOL_ERROR", "after the end": "reset STREAM_CLOSED"} {
		c := r.http2()
		length := []string{"content-length", "4"}
		if name != "short" && name != "long" && name != "exact" {
			length = nil
		}
		id := post(c, length...)
		switch name {
		case "short":
			c.f.WriteData(id, true, []byte("abc"))
		case "long":
			c.f.WriteData(id, true, []byte("abcde"))
		case "exact", "free":
			c.f.WriteDataPadded(id, true, []byte("abcd"), make([]byte, 5))
		case "after the end":
			c.f.WriteRawFrame(http2.FrameData, http2.FlagDataEndStream, id, nil)
			c.f.WriteData(id, true, []byte("more"))
		default:
			c.f.WriteData(id, false, []byte("abcd"))
			c.block.Reset()
			c.enc.WriteField(hpack.HeaderField{Name: map[string]string{"trailers": "x-sum", "pseudo trailers": ":path", "framing trailers": "content-length"}[name], Value: "4"})
			c.f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: true})
		}
		if got := c.end(id); got != want && !(name == "after the end" && got == "200") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Floods end the connection that sends them, and no other.
func TestH2Floods(t *testing.T) {
	r := start(t, Limits{})
	release := make(chan struct{})
	r.publish(rule("a.test", backendServer(t, func(_ http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/wait" {
			select {
			case <-release:
			case <-q.Context().Done():
			}
		}
	})))
	t.Cleanup(func() { close(release) })
	good := r.http2()
	for name, flood := range map[string]func(c *raw2) error{
		"ping":     func(c *raw2) error { return c.f.WritePing(false, [8]byte{}) },
		"settings": func(c *raw2) error { return c.f.WriteSettings() },
		"rapid reset": func(c *raw2) error {
			return errors.Join(c.f.WriteRSTStream(c.get("/wait"), http2.ErrCodeCancel))
		},
		"empty data": func(c *raw2) error {
			if c.next == 1 {
				c.head(false, ":method", "POST", ":scheme", "http", ":authority", "a.test", ":path", "/")
			}
			return c.f.WriteData(1, false, nil)
		},
		"priority": func(c *raw2) error { return c.f.WritePriority(1, http2.PriorityParam{Weight: 1, StreamDep: 3}) },
		"too many streams": func(c *raw2) error {
			c.get("/wait")
			return nil
		},
		"continuation": func(c *raw2) error {
			if c.next == 1 {
				c.next = 3
				c.f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			return c.f.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, 1000))
		},
		"malformed": func(c *raw2) error { c.head(true, ":method", "GET"); return nil },
	} {
		c := r.http2()
		ended := make(chan string, 1)
		go func() { ended <- c.end(0) }()
		got := ""
		for n := 0; got == "" && n < 20_000; n++ {
			flood(c)
			select {
			case got = <-ended:
			default:
			}
		}
		if got == "" {
			t.Errorf("%s: 20 000 frames and no end", name)
			c.nc.Close()
			<-ended
		}
		if got := good.end(good.get("/")); got != "200" {
			t.Errorf("beside %s: %q", name, got)
		}
	}
}

// Bodies far larger than any window pass both ways at once, whole and in order.
func TestH2Large(t *testing.T) {
	r := start(t, Limits{})
	r.publish(rule("a.test", backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "Grpc-Status")
		io.Copy(w, q.Body)
		w.Header().Set("Grpc-Status", q.Trailer.Get("X-Sum"))
	})))
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p}
	defer tr.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body := bytes.Repeat([]byte(fmt.Sprintf("%07d\n", i)), 1<<18)
			var rd io.Reader = bytes.NewReader(body)
			if i%2 == 0 {
				rd = io.MultiReader(rd)
			}
			q, _ := http.NewRequest("POST", "http://"+r.addr+"/", rd)
			q.Host = "a.test"
			if i%2 == 0 {
				q.Trailer = http.Header{"X-Sum": {"7"}}
			}
			resp, err := tr.RoundTrip(q)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) || resp.ProtoMajor != 2 {
				t.Errorf("%d: %d of %d bytes, %v", i, len(got), len(body), err)
			}
			if want := map[bool]string{true: "7", false: ""}[i%2 == 0]; resp.Trailer.Get("Grpc-Status") != want {
				t.Errorf("%d: trailers %v", i, resp.Trailer)
			}
		})
	}
	wg.Wait()
}

// A client that does not read holds up its own stream, and the sweep ends it.
func TestH2Stalled(t *testing.T) {
	r := start(t, Limits{Sweep: 20 * time.Millisecond, Stream: 200 * time.Millisecond})
	r.publish(rule("a.test", backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		w.Write(make([]byte, 1<<20))
	})))
	c := r.http2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	if got := c.end(c.get("/")); got != "reset INTERNAL_ERROR" {
		t.Errorf("stalled: %q", got)
	}
	if got := c.end(c.head(true, ":method", "HEAD", ":scheme", "http", ":authority", "a.test", ":path", "/")); got != "200" {
		t.Errorf("beside it: %q", got)
	}
}

// A router that ends says so first, and serves what has begun.
func TestH2Drain(t *testing.T) {
	r := start(t, Limits{Sweep: 20 * time.Millisecond})
	begun, release := make(chan struct{}), make(chan struct{})
	r.publish(rule("a.test", backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		close(begun)
		<-release
		io.WriteString(w, "late")
	})))
	c := r.http2()
	id := c.get("/")
	<-begun
	r.stop()
	wait(t, func() bool { _, err := r.client.Stats(context.Background()); return err != nil || drains(c) })
	close(release)
	if got := c.end(id); got != "200" {
		t.Errorf("%q", got)
	}
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// drains reads until the GOAWAY.
func drains(c *raw2) bool {
	for {
		f, err := c.f.ReadFrame()
		if err != nil {
			return false
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return g.ErrCode == http2.ErrCodeNo
		}
	}
}

// What becomes text from HTTP/2 must be read back as what it was.
func FuzzH2Text(f *testing.F) {
	f.Add("GET", "/", "a.test", "x", "y", true)
	f.Add("POST", "/?a=b", "a.test:80", "cookie", "a=b", false)
	f.Add("GET", "/ HTTP/1.1\r\nhost: b", "a", "content-length", "5", true)
	f.Add("GET", "/", "a", "x\r\ny", "a\r\nb: c", false)
	f.Add("HEAD", "*", "a", "te", "trailers", true)
	f.Fuzz(func(t *testing.T, method, path, authority, name, value string, ended bool) {
		var x h2Text
		x.reset(ended)
		for _, p := range [][2]string{{":method", method}, {":scheme", "https"}, {":path", path}, {":authority", authority}, {name, value}} {
			x.add(hpack.HeaderField{Name: p[0], Value: p[1]})
		}
		text, err := x.request()
		if err != nil {
			return
		}
		end, _, err := headEnd(text, 0)
		if err != nil || end != len(text) {
			t.Fatalf("%q: head ends at %d of %d, %v", text, end, len(text), err)
		}
		var h head
		if h.parseRequest(text) != nil {
			return
		}
		if string(h.method) != method || string(h.target) != path || string(h.host) != authority || len(h.fields) > 3 {
			t.Fatalf("%q: %s %s %s %d", text, h.method, h.target, h.host, len(h.fields))
		}
		if ended && (h.chunked || h.length > 0) || !ended && !h.chunked && h.length < 0 {
			t.Fatalf("%q: framing", text)
		}
	})
}
