package e2e

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logSpace is what the logs of one app and the output that waits for them may
// take of the disk: their budget, the backlog, and what half a second brings
// until it is cut, at the 500 MiB/s or so that a disk's cache takes.
const logSpace = 64<<20 + 64<<20 + 384<<20

// TestHogs lets an app and a build take all they can get, while another app is
// in use. That one stays quick, the disk stays within its budget, and who asked
// for too much is told so. STEAD_TEST_SPAM_MB is how much log is written.
func TestHogs(t *testing.T) {
	needRealEngine(t)
	p := start(t, "containerd")
	quiet := tree(t, p, "quiet")
	p.must(t, quiet, "create", "quiet", "--no-remote")
	p.must(t, quiet, "push", "-a", "quiet")
	dir := filepath.Join(p.dir, "hog")
	if err := os.CopyFS(dir, os.DirFS("testdata/hostile")); err != nil {
		t.Fatal(err)
	}
	p.must(t, dir, "create", "hog", "--no-remote")
	p.must(t, dir, "push", "-a", "hog")
	for name, do := range map[string]func(*testing.T, *platform, string){
		"log spam": spamLog, "fork bomb": forkBomb, "a build that allocates without end": glutton,
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(p, "quiet."+p.domain, 20)
			do(t, p, dir)
			l.end(t)
			if l.slowest > 5*time.Second {
				t.Errorf("a request of the other app took %v", l.slowest)
			}
		})
	}
}

// spamLog writes a log faster than it can be kept.
func spamLog(t *testing.T, p *platform, dir string) {
	mb := rounds("STEAD_TEST_SPAM_MB", 512)
	spaces := []string{filepath.Join(p.dir, "d", "engine", "output"), filepath.Join(p.dir, "d", "logs")}
	before, most := allocated(spaces...), int64(0)
	began, done := time.Now(), make(chan string, 1)
	go func() { done <- p.get(t.Context(), "hog", "/spam?mb="+strconv.Itoa(mb)) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for said := ""; said == ""; {
		select {
		case said = <-done:
			if !strings.Contains(said, "wrote") {
				t.Errorf("the app could not write: %s", said)
			}
		case <-tick.C:
			most = max(most, allocated(spaces...)-before)
		}
	}
	t.Logf("%d MiB in %.1f s; the disk held %d MiB of it at most", mb, time.Since(began).Seconds(), most>>20)
	if most > logSpace {
		t.Errorf("logs took %d MiB, at most %d are allowed", most>>20, logSpace>>20)
	}
	until(t, 2*time.Minute, "the log tells what was dropped", func() bool {
		out, err := p.stead(t, dir, "logs", "-a", "hog", "--num", "20000", "--source", "stead")
		return err == nil && strings.Contains(out, "Dropped ")
	})
	if said := p.get(t.Context(), "hog", "/"); !strings.Contains(said, "still here") {
		t.Errorf("the app says %s", said)
	}
}

// forkBomb makes processes until the app may have no more. A restart ends it.
func forkBomb(t *testing.T, p *platform, dir string) {
	if said := p.get(t.Context(), "hog", "/bomb"); !strings.Contains(said, "lit") {
		t.Fatalf("no bomb: %s", said)
	}
	most := 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		files, _ := filepath.Glob("/sys/fs/cgroup/pids/stead-" + network(p) + "/*/pids.current")
		for _, f := range files {
			data, _ := os.ReadFile(f)
			n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
			most = max(most, n)
		}
	}
	t.Logf("at most %d processes", most)
	p.must(t, dir, "restart", "-a", "hog")
	if said := p.get(t.Context(), "hog", "/"); !strings.Contains(said, "still here") {
		t.Errorf("after a restart the app says %s", said)
	}
}

// glutton builds what needs more memory than there is.
func glutton(t *testing.T, p *platform, dir string) {
	at := filepath.Join(p.dir, "glutton")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, at, "Dockerfile", "FROM stead/debian-12\nRUN a=xxxxxxxxxxxxxxxx; while :; do a=\"$a$a\"; done\nCMD [\"true\"]\n")
	p.must(t, at, "create", "glutton", "--no-remote")
	out, err := p.stead(t, at, "push", "-a", "glutton")
	if err == nil || !strings.Contains(out, "exceeded its memory") {
		t.Errorf("the push says %v:\n%s", err, out)
	}
	p.must(t, dir, "push", "-a", "hog") // and the next build is fine
}

// get returns what an app answers, or why it does not.
func (p *platform) get(ctx context.Context, app, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	resp, err := p.request(ctx, app+"."+p.domain, path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// allocated is what the files below take of the disk.
func allocated(dirs ...string) (sum int64) {
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went while we looked
			}
			if info, err := d.Info(); err == nil {
				if st, ok := info.Sys().(*syscall.Stat_t); ok {
					sum += st.Blocks * 512
				}
			}
			return nil
		})
	}
	return sum
}
