package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestZeroLoss changes an app in every way while it is in use. No request may
// fail, and no socket of an app that is not changed may be dropped. Larger with
// STEAD_TEST_DEPLOYS and STEAD_TEST_SCALE: make bench-loss.
func TestZeroLoss(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		zeroLoss(t, start(t, "fake"), false)
	})
	t.Run("containerd", func(t *testing.T) {
		needRealEngine(t)
		zeroLoss(t, start(t, "containerd"), true)
	})
}

func zeroLoss(t *testing.T, p *platform, outlives bool) {
	dir := tree(t, p, "loss")
	p.must(t, dir, "create", "loss", "--no-remote")
	on := func(args ...string) { p.must(t, dir, append(args, "-a", "loss")...) }
	on("push")
	if outlives { // the app in memory does not upgrade
		s := openSockets(t, p, 10)
		defer s.end(t)
	}
	l := begin(p, "loss."+p.domain, 500)
	defer l.end(t)
	most := rounds("STEAD_TEST_SCALE", 4)
	l.phase(t, "deploys", func() {
		for n := range rounds("STEAD_TEST_DEPLOYS", 2) {
			write(t, dir, "note", fmt.Sprint(n))
			on("push")
		}
	})
	l.phase(t, fmt.Sprintf("scale 1→%d→1", most), func() { on("scale", fmt.Sprintf("web=%d", most)); on("scale", "web=1") })
	l.phase(t, "restart", func() { on("restart") })
	l.phase(t, "restart of 3, one by one", func() { on("scale", "web=3"); on("restart", "web"); on("scale", "web=1") })
	l.phase(t, "rollback", func() { on("rollback") })
	l.phase(t, "config set", func() { on("config", "set", "GREETING=hello") })
	l.phase(t, "a push that fails to boot", func() {
		write(t, dir, "Procfile", "web: exit 3\n")
		write(t, dir, "fail-boot", "")
		on("process", "web", "--boot-limit", "5")
		if out, err := p.stead(t, dir, "push", "-a", "loss"); err == nil {
			t.Errorf("the push succeeded:\n%s", out)
		}
	})
	if !outlives {
		return // the engine in memory ends with the control plane
	}
	l.phase(t, "kill -9 of the control plane", func() { p.kill(t, "serve"); p.answers(t) })
	l.phase(t, "upgrade of control plane and router", func() { p.replaceProgram(t); p.steadd(t, "start"); p.answers(t); on("scale", "web=1") })
	l.phase(t, "kill -9 of containerd", func() { p.kill(t, "containerd"); p.answers(t); on("scale", "web=2") })
	l.phase(t, "a further instance of the app with sockets", func() { p.must(t, dir, "scale", "web=2", "-a", "sockets") })
}

// tree makes a copy of the example app.
func tree(t *testing.T, p *platform, name string) string {
	t.Helper()
	dir := filepath.Join(p.dir, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", "hello"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
