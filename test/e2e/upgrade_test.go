package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// replaceProgram puts another file in steadd's place, as a package does.
func (p *platform) replaceProgram(t *testing.T) {
	t.Helper()
	name := filepath.Join(p.bin, "steadd")
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name+".new", data, 0o755)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpgrade replaces the program, then has everything replaced once more; each
// request to the router, on a new connection and on an old one, is answered.
func TestUpgrade(t *testing.T) {
	p := start(t, "fake")
	daemons := []string{"supervisor", "serve", "router"}
	pids := func() (all []int) {
		for _, d := range daemons {
			all = append(all, p.pid(t, d))
		}
		return all
	}
	var asked, failed atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		kept := &http.Transport{}
		defer kept.CloseIdleConnections()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			tr := kept
			if n%2 == 0 {
				tr = &http.Transport{DisableKeepAlives: true}
			}
			q, _ := http.NewRequest(http.MethodGet, "http://"+p.router+"/", nil)
			q.Host = "nobody." + p.domain
			resp, err := tr.RoundTrip(q)
			if asked.Add(1); err != nil {
				t.Log(err)
				failed.Add(1)
				continue
			}
			if resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
				failed.Add(1)
			}
		}
	}()
	was := pids()
	changed := func(what string, want bool) {
		t.Helper()
		now := pids()
		for i, d := range daemons {
			if (now[i] != was[i]) != want {
				t.Errorf("%s: process of %s replaced: %v, want %v", what, d, now[i] != was[i], want)
			}
		}
		was = now
	}
	p.steadd(t, "start")
	changed("start again", false)
	p.replaceProgram(t)
	p.steadd(t, "start")
	changed("start of a replaced program", true)
	p.steadd(t, "upgrade")
	changed("upgrade", true)
	close(stop)
	<-done
	t.Logf("requests=%d failed=%d", asked.Load(), failed.Load())
	if failed.Load() != 0 || asked.Load() == 0 {
		t.Errorf("requests=%d failed=%d", asked.Load(), failed.Load())
	}
	p.steadd(t, "stop")
	if c, err := net.Dial("tcp", p.router); err == nil {
		c.Close()
		t.Error("a router outlived steadd stop")
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "d", "run", "*.former-*")); len(left) > 0 {
		t.Error("left behind:", strings.Join(left, " "))
	}
}
