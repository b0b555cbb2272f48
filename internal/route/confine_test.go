package route

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain runs this program as a router when a test asks for one: giving up
// privileges changes the whole process.
func TestMain(m *testing.M) {
	if os.Getenv("ROUTE_TEST_DIR") != "" {
		os.Exit(confined())
	}
	os.Exit(m.Run())
}

func confined() int {
	dir := os.Getenv("ROUTE_TEST_DIR")
	cfg := Config{HTTP: os.Getenv("ROUTE_TEST_HTTP"), Socket: filepath.Join(dir, "run", "r.sock"), StateDir: filepath.Join(dir, "state"), Sealer: rot13{},
		Drain: 2 * time.Second}
	if id, err := strconv.Atoi(os.Getenv("ROUTE_TEST_UID")); err == nil {
		cfg.User = &Identity{id, id}
	}
	if err := Serve(context.Background(), cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child starts this program as a router.
func child(t *testing.T, dir, addr string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "ROUTE_TEST_DIR="+dir, "ROUTE_TEST_HTTP="+addr)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rc") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

const strangerID = 999_991

// A confined router has no rights left, below a directory that its user cannot
// pass, and still takes tables and certificates, keeps them, and hands over.
func TestConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("giving up privileges needs some")
		}
		t.Skip("giving up privileges needs some: run as root")
	}
	dir := tempDir(t) // mode 0700, root's
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	r := &rig{t: t, addr: addr, client: Dial(filepath.Join(dir, "run", "r.sock"))}
	up := func() bool { _, err := r.client.Stats(t.Context()); return err == nil }
	first := child(t, dir, addr, fmt.Sprint("ROUTE_TEST_UID=", strangerID))
	wait(t, up)
	r.publish(rule("a.test", backendServer(t, ok)))
	r.certify(Certificates{Digest: "kept"})
	checkPowerless(t, first.Process.Pid)
	for _, f := range []string{tableFile, certificatesFile} {
		if _, err := os.Stat(filepath.Join(dir, "state", f)); err != nil {
			t.Error(err)
		}
	}
	stop := r.load("a.test", 8)
	second := child(t, dir, addr, fmt.Sprint("ROUTE_TEST_UID=", strangerID))
	if err := first.Wait(); err != nil {
		t.Error("the predecessor:", err)
	}
	wait(t, func() bool {
		s, err := r.client.Stats(t.Context())
		return err == nil && s.Digest == "kept" && s.Routes == 1
	})
	n, failed := stop()
	t.Logf("requests=%d failed=%d", n, failed)
	if failed != 0 || n == 0 {
		t.Errorf("requests=%d failed=%d", n, failed)
	}
	checkPowerless(t, second.Process.Pid)
}

// checkPowerless reads /proc/PID/status of every thread (proc(5)).
func checkPowerless(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	wait(t, func() bool { // the control socket answers a moment earlier
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return err != nil || bytes.Contains(b, fmt.Appendf(nil, "Uid:\t%d\t", strangerID))
	})
	want := map[string]string{"Uid": fmt.Sprint(strangerID), "Gid": fmt.Sprint(strangerID), "Groups": "", "NoNewPrivs": "1",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000"}
	for _, f := range threads {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread ended
		}
		for line := range bytes.Lines(b) {
			name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
			for _, got := range strings.Fields(value) {
				if w, ok := want[name]; ok && got != w {
					t.Errorf("%s: %s", f, line)
				}
			}
		}
	}
}

// Sockets that a service manager hands in are served.
func TestActivated(t *testing.T) {
	dir := tempDir(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// As a service manager does: the child knows its own pid only after the fork.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=http", "ROUTE_TEST_DIR="+dir, "ROUTE_TEST_HTTP=192.0.2.1:1")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{f}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	r := &rig{t: t, addr: ln.Addr().String(), client: Dial(filepath.Join(dir, "run", "r.sock"))}
	wait(t, func() bool { _, err := r.client.Stats(t.Context()); return err == nil })
	r.publish(rule("a.test", backendServer(t, ok)))
	if resp, _ := r.get("a.test", "/"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }

// An upgraded connection stays with the router that has it, until it ends, and
// everything else goes to the successor.
func TestSocketsOutliveTheTakeOver(t *testing.T) {
	dir := tempDir(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	r := &rig{t: t, addr: addr, client: Dial(filepath.Join(dir, "run", "r.sock"))}
	first := child(t, dir, addr)
	wait(t, func() bool { _, err := r.client.Stats(t.Context()); return err == nil })
	r.publish(rule("a.test", echoServer(t)))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(c)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	say := func(text string) {
		t.Helper()
		io.WriteString(c, text+"\n")
		if got, err := in.ReadString('\n'); err != nil || got != text+"\n" {
			t.Fatalf("%q %v", got, err)
		}
	}
	say("before")
	child(t, dir, addr)
	wait(t, func() bool {
		s, err := r.client.Stats(t.Context())
		return err == nil && s.Sockets == 0 && s.Routes == 1
	})
	end := time.Now().Add(3 * time.Second) // longer than the time that requests get
	for time.Now().Before(end) {
		say("meanwhile")
		if resp, _ := r.get("a.test", "/"); resp.StatusCode != 426 {
			t.Fatal(resp.Status)
		}
	}
	c.Close()
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
}

// echoServer upgrades to a protocol that gives back what it gets.
func echoServer(t *testing.T) string {
	return backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") != "echo" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, rw)
	})
}
