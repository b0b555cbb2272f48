package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// load sends requests at a fixed rate, whatever the answers take, as a public
// does: a stall shows up as many requests in flight, not as fewer requests.
type load struct {
	mu       sync.Mutex
	sent     int
	failed   map[string]int // what went wrong → how often
	slowest  time.Duration
	finished chan struct{}
	stop     context.CancelFunc
}

// begin sends rate requests a second for the app's host until end is called.
func begin(p *platform, host string, rate int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{failed: map[string]int{}, finished: make(chan struct{}), stop: cancel}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	go l.run(ctx, client, "http://"+p.router+"/", host, rate)
	return l
}

func (l *load) run(ctx context.Context, client *http.Client, url, host string, rate int) {
	defer close(l.finished)
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * float64(rate)); sent < due; sent++ {
			wg.Go(func() { l.one(client, url, host) })
		}
	}
}

func (l *load) one(client *http.Client, url, host string) {
	began := time.Now()
	problem := ask(client, url, host)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.slowest = max(l.slowest, time.Since(began))
	if problem != "" {
		l.failed[problem]++
	}
}

// ask sends one request and says what was wrong with the answer.
func ask(client *http.Client, url, host string) string {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "body: " + err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s: %.80s", resp.Status, body)
	}
	return ""
}

// counts are the requests answered and failed so far.
func (l *load) counts() (sent, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.failed {
		failed += n
	}
	return l.sent, failed
}

// end waits for the answers that are due and fails the test for any that is not 200.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	<-l.finished
	sent, failed := l.counts()
	t.Logf("%d requests, %d failed, slowest %v", sent, failed, l.slowest.Round(time.Millisecond))
	for what, n := range l.failed {
		t.Errorf("%d × %s", n, what)
	}
	if sent == 0 {
		t.Error("not one request was answered")
	}
}

// phase runs do under the load and logs what it cost.
func (l *load) phase(t *testing.T, name string, do func()) {
	t.Helper()
	began := time.Now()
	sent, failed := l.counts()
	do()
	until(t, 10*time.Second, "half a second's requests came after "+name, func() bool { now, _ := l.counts(); return now >= sent+500 })
	sent2, failed2 := l.counts()
	t.Logf("%-28s %6.1f s %7d requests %4d failed", name, time.Since(began).Seconds(), sent2-sent, failed2-failed)
	if failed2 > failed {
		t.Errorf("%s lost %d requests", name, failed2-failed)
	}
}

// must runs the CLI and fails the test when it fails.
func (p *platform) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := p.stead(t, dir, args...)
	if err != nil {
		t.Errorf("stead %s: %v\n%s", strings.Join(args, " "), err, out)
		t.FailNow()
	}
	return out
}

// data runs the CLI with -o json and decodes what it printed.
func (p *platform) data(t *testing.T, dir string, into any, args ...string) error {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "stead"), append(args, "-o", "json")...)
	cmd.Dir, cmd.Env = dir, p.userEnv()
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("stead %s: %w", strings.Join(args, " "), err)
	}
	return json.Unmarshal(out, into)
}

// pid of one of the platform's processes: serve, router, containerd, …
func (p *platform) pid(t *testing.T, name string) int {
	t.Helper()
	n, err := p.findPid(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *platform) findPid(name string) (int, error) {
	var file string
	_ = filepath.WalkDir(filepath.Join(p.dir, "d"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == name+".pid" && file == "" {
			file = path
		}
		return nil
	})
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("pid of %s: %w", name, err)
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0, fmt.Errorf("pid of %s: %s is empty", name, file)
	}
	return strconv.Atoi(fields[0])
}

// kill ends a process of the platform as a power cut would, and returns when
// its supervisor has another one running.
func (p *platform) kill(t *testing.T, name string) {
	t.Helper()
	old := p.pid(t, name)
	signal(t, old)
	until(t, 30*time.Second, name+" runs again", func() bool {
		pid, err := p.findPid(name)
		return err == nil && pid != old
	})
}

// signal is kill -9.
func signal(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// until polls a condition that has no other way to be waited for.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it is not so that %s", limit, what)
		}
	}
}

// answers waits until the API does.
func (p *platform) answers(t *testing.T) {
	t.Helper()
	until(t, 60*time.Second, "the API answers", func() bool {
		_, err := p.stead(t, p.dir, "whoami")
		return err == nil
	})
}
