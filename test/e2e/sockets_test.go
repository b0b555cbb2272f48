package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// socketApp answers an upgrade with an echo of each line.
const socketApp = `package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, rw)
	})
	panic(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`

// sockets are connections upgraded through the router, each asked ten times a
// second until end is called.
type sockets struct {
	wg     sync.WaitGroup
	stop   chan struct{}
	echoes atomic.Int64
	mu     sync.Mutex
	failed []string
}

// openSockets deploys an app of its own and opens n sockets to it.
func openSockets(t *testing.T, p *platform, n int) *sockets {
	t.Helper()
	dir := filepath.Join(p.dir, "sockets")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "go.mod", "module sockets\n\ngo 1.24\n")
	write(t, dir, "main.go", socketApp)
	p.must(t, dir, "create", "sockets", "--no-remote")
	p.must(t, dir, "push", "-a", "sockets")
	s := &sockets{stop: make(chan struct{})}
	for i := range n {
		c, r, err := p.upgrade("sockets." + p.domain)
		if err != nil {
			t.Fatalf("socket %d: %v", i, err)
		}
		s.wg.Go(func() { s.keep(i, c, r) })
	}
	return s
}

func (p *platform) upgrade(host string) (net.Conn, *bufio.Reader, error) {
	c, err := net.DialTimeout("tcp", p.router, 10*time.Second)
	if err != nil {
		return nil, nil, err
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3RlYWQtc3RlYWQtc3RlYQ==\r\n\r\n", host)
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("not upgraded: %s", resp.Status)
	}
	if err != nil {
		_ = c.Close()
	}
	return c, r, err
}

func (s *sockets) keep(i int, c net.Conn, r *bufio.Reader) {
	defer c.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		word := fmt.Sprintf("%d of %d\n", n, i)
		_, err := c.Write([]byte(word))
		var back string
		if err == nil {
			back, err = r.ReadString('\n')
		}
		if err != nil || back != word {
			s.mu.Lock()
			s.failed = append(s.failed, fmt.Sprintf("socket %d, word %d: %v %q", i, n, err, back))
			s.mu.Unlock()
			return
		}
		s.echoes.Add(1)
	}
}

// end closes the sockets and fails the test for any that was dropped before.
func (s *sockets) end(t *testing.T) {
	t.Helper()
	close(s.stop)
	s.wg.Wait()
	t.Logf("sockets: %d echoes, %d dropped", s.echoes.Load(), len(s.failed))
	if len(s.failed) > 0 {
		t.Errorf("sockets were dropped:\n%s", strings.Join(s.failed, "\n"))
	}
	if s.echoes.Load() == 0 {
		t.Error("no socket was ever answered")
	}
}
