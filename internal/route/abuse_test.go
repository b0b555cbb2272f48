package route

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// endless serves connections that write text again and again until they break.
func endless(t *testing.T, first, text string) string {
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
				_, err := io.WriteString(c, first)
				for err == nil {
					_, err = io.WriteString(c, text)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// What an instance may answer that is no answer: the visitor is told, nothing of it is
// taken for another's answer, and the next app is served.
func TestHostileInstances(t *testing.T) {
	r := start(t, Limits{Sweep: 20 * time.Millisecond, FirstByte: time.Second})
	ok := backendServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	hostile := map[string]string{
		"head.test":   endless(t, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 100)+"\r\n"),
		"line.test":   endless(t, "HTTP/1.1 200 ", "O"),
		"fields.test": rawBackend(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 300)+"\r\n"),
		"1xx.test":    endless(t, "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
		"zero.test":   endless(t, "", "\x00\x00\x00\x00"),
		"two.test":    rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		"fold.test":   rawBackend(t, "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
		"lf.test":     rawBackend(t, "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
		"101.test":    rawBackend(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
	}
	rules := []Rule{rule("ok.test", ok), rule("short.test", rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")),
		rule("long.test", rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))}
	for host, addr := range hostile {
		rules = append(rules, rule(host, addr))
	}
	r.publish(rules...)
	for host := range hostile {
		got := r.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if !strings.Contains(got, "HTTP/1.1 503 ") || !strings.Contains(got, "X-Stead-Error: H17") {
			t.Errorf("%s: %.200q", host, got)
		}
		if resp, body := r.get("ok.test", "/"); resp.StatusCode != 200 || body != "ok" {
			t.Errorf("beside %s: %d %q", host, resp.StatusCode, body)
		}
	}
	if got := r.raw("GET / HTTP/1.1\r\nHost: short.test\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nabc") {
		t.Errorf("an answer that ends early: %q", got)
	}
	for range 3 { // what stands behind an answer belongs to nobody
		if _, body := r.get("long.test", "/"); body != "abc" {
			t.Errorf("an answer that is too long: %q", body)
		}
	}
}

// Heads that come a byte at a time end by their limit, and hold up nobody.
func TestSlowLoris(t *testing.T) {
	r := start(t, Limits{Sweep: 20 * time.Millisecond, Head: 300 * time.Millisecond})
	r.publish(rule("ok.test", backendServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })))
	ended := make(chan error, 100)
	for range cap(ended) {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			go func() {
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for err := error(nil); err == nil; <-tick.C {
					_, err = io.WriteString(c, "X")
				}
			}()
			b, err := io.ReadAll(c)
			if !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
				err = errors.Join(errors.New("not 408: "+string(b)), err)
			} else {
				err = nil
			}
			ended <- err
		}()
	}
	for i := range cap(ended) {
		if i%10 == 0 {
			if resp, _ := r.get("ok.test", "/"); resp.StatusCode != 200 {
				t.Errorf("beside: %d", resp.StatusCode)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
