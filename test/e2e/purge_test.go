package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPurgeLeavesNothing compares the machine before and after a platform that
// ran an app: no process, mount, link, table, cgroup, namespace or file more.
func TestPurgeLeavesNothing(t *testing.T) {
	for _, engine := range []string{"fake", "containerd"} {
		t.Run(engine, func(t *testing.T) {
			if engine != "fake" {
				needRealEngine(t)
			}
			p := start(t, engine)
			dir := tree(t, p, "gone")
			p.must(t, dir, "create", "gone", "--no-remote")
			p.must(t, dir, "push", "-a", "gone")
			id := network(p)
			p.purge(t)
			left := append(leftovers(t, p.dir+"/d", p.dir+"/bin/steadd"), networkLeft(t, id)...)
			for _, what := range left {
				t.Errorf("left behind: %s", what)
			}
			if entries, err := os.ReadDir(filepath.Join(p.dir, "d")); err == nil {
				t.Errorf("the data directory is there, with %v", entries)
			}
		})
	}
}

// network is the id that the names of the platform's links, tables and groups
// carry: made from the data directory's path.
func network(p *platform) string {
	sum := sha256.Sum256([]byte(filepath.Join(p.dir, "d")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:5])
}

// leftovers are processes, mounts and cgroups that carry one of the names.
func leftovers(t *testing.T, names ...string) []string {
	t.Helper()
	var found []string
	has := func(s string) bool {
		for _, n := range names {
			if strings.Contains(s, n) {
				return true
			}
		}
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if has(line) {
			found = append(found, "mount "+strings.TrimSpace(line))
		}
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range processes {
		if cmd, err := os.ReadFile(file); err == nil && has(string(cmd)) {
			found = append(found, "process "+strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	return found
}

// networkLeft are links, nft tables and cgroups that carry the platform's id.
func networkLeft(t *testing.T, id string) []string {
	t.Helper()
	if id == "" || os.Geteuid() != 0 {
		return nil
	}
	var found []string
	for _, args := range [][]string{{"ip", "-o", "link"}, {"nft", "list", "tables"}, {"ip", "netns"}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Logf("%v: %v", args, err)
			continue
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, id) {
				found = append(found, strings.Join(args, " ")+": "+strings.TrimSpace(line))
			}
		}
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/*" + id + "*")
	return append(found, groups...)
}

// TestTwoPlatforms has two platforms with an app of the same name each. They
// do not see one another, and the end of one leaves the other serving.
func TestTwoPlatforms(t *testing.T) {
	for _, engine := range []string{"fake", "containerd"} {
		t.Run(engine, func(t *testing.T) {
			if engine != "fake" {
				needRealEngine(t)
			}
			one, two := start(t, engine), start(t, engine)
			for _, p := range []*platform{one, two} {
				dir := tree(t, p, "twin")
				p.must(t, dir, "create", "twin", "--no-remote")
				p.must(t, dir, "push", "-a", "twin")
			}
			if _, err := (&platform{bin: one.bin, env: one.env, api: two.api, token: one.token, dir: one.dir}).stead(t, one.dir, "whoami"); err == nil {
				t.Error("one platform's token opens the other")
			}
			one.purge(t)
			resp, err := two.request(context.Background(), "twin."+two.domain, "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
				t.Errorf("the other platform answers %s: %s", resp.Status, body)
			}
		})
	}
}
