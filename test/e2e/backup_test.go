package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackup backs a platform up while it runs, removes all of it, and brings
// it back: people, sealed config, repositories, and on the real engine apps.
func TestBackup(t *testing.T) {
	t.Run("fake", func(t *testing.T) { backUp(t, start(t, "fake"), false) })
	t.Run("containerd", func(t *testing.T) {
		needRealEngine(t)
		backUp(t, start(t, "containerd"), true)
	})
}

func backUp(t *testing.T, p *platform, serves bool) {
	dir := tree(t, p, "kept")
	p.must(t, dir, "create", "kept", "--no-remote")
	p.must(t, dir, "config", "set", "GREETING=Servus", "-a", "kept")
	for _, args := range [][]string{{"init", "-qb", "main"}, {"add", "-A"}, {"commit", "-qm", "kept"}, {"push", "-q", p.repository("kept"), "main"}} {
		if out, err := p.git(dir, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	p.steadd(t, "rotate-keys")
	file := filepath.Join(p.dir, "backup")
	p.steadd(t, "backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup's mode: %v %v", info.Mode(), err)
	}
	if out, err := p.run("restore", file); err == nil || !strings.Contains(out, "already") {
		t.Errorf("a restore over what there is: %v\n%s", err, out)
	}
	p.steadd(t, "purge", "--yes")

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(p.dir, "cut")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := p.run("restore", cut); err == nil || !strings.Contains(out, "no whole backup") {
		t.Errorf("a restore of half a backup: %v\n%s", err, out)
	}
	p.steadd(t, "restore", file)
	p.steadd(t, "start")
	if got := p.must(t, dir, "config", "get", "GREETING", "-a", "kept"); got != "Servus\n" {
		t.Errorf("config after the restore: %q", got)
	}
	if out, err := p.git(dir, "ls-remote", p.repository("kept"), "refs/heads/main"); err != nil || !strings.Contains(out, "refs/heads/main") {
		t.Errorf("the repository after the restore: %v\n%s", err, out)
	}
	if !serves {
		return
	}
	p.must(t, dir, "restart", "-a", "kept") // waits until it serves
	if status, body, err := p.fetch("kept."+p.domain, "/"); err != nil || status != 200 || !strings.Contains(body, "Servus") {
		t.Errorf("the app after the restore: %d %v\n%s", status, err, body)
	}
}

// repository is the URL that an app is pushed to, with a token.
func (p *platform) repository(app string) string {
	return strings.Replace(p.api, "http://", "http://x:"+p.token+"@", 1) + "/git/" + app + ".git"
}

func (p *platform) git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(p.userEnv(), "HOME="+p.dir, "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is steadd for what may fail.
func (p *platform) run(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(p.bin, "steadd"), args...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
