package git_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	buildfake "github.com/steadpaas/stead/internal/build/fake"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/converge/fake"
	"github.com/steadpaas/stead/internal/engine"
	enginefake "github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/ingress/git"
	"github.com/steadpaas/stead/internal/logs"
)

// TestMain lets the test binary be the hook, as steadd is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "git-hook" {
		os.Exit(git.Hook(context.Background(), os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// desk is a pusher's place: a platform behind HTTP and a working tree.
type desk struct {
	t     *testing.T
	p     *fake.Platform
	url   string
	dir   string
	gate  chan struct{} // a build waits while one can be sent
	rerun func()        // ends the hooks' side of the daemon and starts it again
}

// gated is a builder that can be held up.
type gated struct {
	buildfake.Builder
	gate chan struct{}
}

func (g gated) Build(ctx context.Context, r build.Request) (build.Result, error) {
	r.Output("-----> At the gate")
	if g.gate != nil {
		<-g.gate
	}
	return g.Builder.Build(ctx, r)
}

func open(t *testing.T) *desk { return openGated(t, nil) }

func openGated(t *testing.T, gate chan struct{}) *desk {
	t.Helper()
	base, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	quiet := slog.New(slog.DiscardHandler)
	store, err := logs.Open(filepath.Join(base, "logs"), logs.Limits{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	p, e := fake.New(), enginefake.New(store, quiet)
	e.Backoff = time.Millisecond
	p.Logs = store
	p.Create("hello")
	ctx, cancel := context.WithCancel(context.Background())
	svc, err := git.New(p, git.Config{Dir: filepath.Join(base, "git"), Socket: filepath.Join(base, "hook.sock"), Hook: []string{os.Args[0], "git-hook"}})
	if err != nil {
		t.Fatal(err)
	}
	l := converge.New(converge.Deps{Platform: p, Engines: map[string]engine.Engine{"default": e}, Builder: gated{buildfake.New(), gate}, Sources: p, Logs: store, Router: &fake.Router{}})
	ended := make(chan error, 2)
	go func() { ended <- l.Run(ctx) }()
	sctx, scancel := context.WithCancel(ctx)
	hooks := make(chan error, 1)
	go func() { hooks <- svc.Run(sctx) }()
	srv := httptest.NewServer(svc.Handler("/git"))
	t.Cleanup(func() {
		srv.Close()
		cancel()
		if err := errors.Join(<-ended, <-hooks); err != nil {
			t.Error(err)
		}
		_ = e.Close()
		_ = store.Close()
	})
	d := &desk{t: t, p: p, dir: filepath.Join(base, "tree"), gate: gate, rerun: func() {
		scancel()
		if err := <-hooks; err != nil {
			t.Error(err)
		}
		sctx, scancel = context.WithCancel(ctx)
		go func(ctx context.Context) { hooks <- svc.Run(ctx) }(sctx)
	}}
	u, _ := url.Parse(srv.URL)
	u.User, u.Path = url.UserPassword("x", fake.Token), "/git/hello.git"
	d.url = u.String()
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.must("init", "-q", "-b", "main")
	d.commit("go.mod", "module hello")
	return d
}

func (d *desk) git(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = d.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.c"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d *desk) must(args ...string) string {
	d.t.Helper()
	out, err := d.git(args...)
	if err != nil {
		d.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (d *desk) commit(file, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, file), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.must("add", ".")
	d.must("commit", "-q", "-m", "change "+file)
}

func contains(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in:\n%s", w, out)
		}
	}
}

func TestPush(t *testing.T) {
	d := open(t)
	out := d.must("push", d.url, "main")
	contains(t, out, "remote: -----> Go (go.mod) detected", "web.1 up", "Deployed hello v1", "http://hello.test")
	t.Log(out)
	b, _ := d.p.Build(context.Background(), "hello", 1)
	if b.Source.Branch != "main" || b.Source.Message != "change go.mod" || len(b.Source.Commit) != 40 {
		t.Errorf("source %+v", b.Source)
	}
	contains(t, d.must("push", d.url, "main"), "up-to-date")
	other := filepath.Join(d.dir, "clone")
	d.must("-c", "protocol.version=2", "clone", "-q", d.url, other)
	if _, err := os.Stat(filepath.Join(other, "go.mod")); err != nil {
		t.Error(err)
	}
}

func TestFailedPush(t *testing.T) {
	d := open(t)
	d.must("push", d.url, "main")
	d.commit("fail-build", "x")
	for range 2 { // it can be repeated
		out, err := d.git("push", d.url, "main")
		if err == nil {
			t.Fatalf("a failed build was accepted:\n%s", out)
		}
		contains(t, out, "Push refused: the build failed", "remove the file and push again", "pre-receive hook declined")
	}
	d.must("rm", "-q", "fail-build")
	d.commit("fail-boot", "x")
	out, err := d.git("push", d.url, "main")
	if err == nil {
		t.Fatalf("a failed release was accepted:\n%s", out)
	}
	contains(t, out, "did not come up", "web.1", "v1 goes on serving")
	d.must("rm", "-q", "fail-boot")
	d.commit("ok", "x")
	contains(t, d.must("push", d.url, "main"), "Deployed hello v3")
}

func TestOtherRefs(t *testing.T) {
	d := open(t)
	d.must("push", d.url, "main")
	contains(t, d.must("push", d.url, "main:feature"), "Only main and master are deployed")
	out, err := d.git("push", d.url, ":main")
	if err == nil {
		t.Error("the deploy branch was deleted")
	}
	contains(t, out, "cannot be deleted")
	d.must("push", d.url, ":feature")
	if b, err := d.p.Releases("hello"); err != nil || b != 1 {
		t.Errorf("%d releases, %v", b, err)
	}
	d.must("commit", "-q", "--amend", "-m", "again")
	contains(t, d.must("push", "-f", d.url, "main"), "Deployed hello v2")
}

func TestSubmodule(t *testing.T) {
	d := open(t)
	sha := strings.TrimSpace(d.must("rev-parse", "HEAD"))
	d.must("update-index", "--add", "--cacheinfo", "160000,"+sha+",vendor/lib")
	d.must("commit", "-q", "-m", "submodule")
	contains(t, d.must("push", d.url, "main"), "Submodule vendor/lib is left out", "Deployed hello v1")
}

func TestStrangers(t *testing.T) {
	d := open(t)
	for bad, want := range map[string]string{
		strings.Replace(d.url, fake.Token, "wrong", 1):      "Authentication failed",
		strings.Replace(d.url, "hello", "other", 1):         "no app",
		strings.Replace(d.url, "hello.git", "../hello", 1):  "",
		strings.Replace(d.url, "hello", "--upload-pack", 1): "no app",
		strings.Replace(d.url, "hello.git", "hello;id", 1):  "no app",
	} {
		out, err := d.git("push", bad, "main")
		if err == nil {
			t.Errorf("%s was accepted", bad)
		}
		contains(t, out, want)
	}
}

func TestTwoPushesAtOnce(t *testing.T) {
	d := open(t)
	done := make(chan string, 2)
	for _, ref := range []string{"main:main", "main:master"} {
		go func() {
			out, err := d.git("push", d.url, ref)
			if err != nil {
				out += err.Error()
			}
			done <- out
		}()
	}
	contains(t, <-done+<-done, "Deployed hello v1", "Deployed hello v2")
}

// TestDaemonDies ends the hooks' side of the daemon during a build; the hook
// comes back and follows the same build.
func TestDaemonDies(t *testing.T) {
	gate := make(chan struct{})
	d := openGated(t, gate)
	done := make(chan string, 1)
	go func() {
		out, err := d.git("push", d.url, "main")
		if err != nil {
			out += err.Error()
		}
		done <- out
	}()
	for {
		n, err := d.p.Pushed("hello")
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			if b, _ := d.p.Build(context.Background(), "hello", n); b.State == stead.BuildRunning {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	d.rerun()
	close(gate)
	out := <-done
	contains(t, out, "At the gate", "Deployed hello v1")
	if strings.Count(out, "At the gate") != 1 {
		t.Errorf("lines came twice:\n%s", out)
	}
}
