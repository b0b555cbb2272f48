package ssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
	buildfake "github.com/steadpaas/stead/internal/build/fake"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/converge/fake"
	"github.com/steadpaas/stead/internal/engine"
	enginefake "github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/ingress/git"
	"github.com/steadpaas/stead/internal/ingress/ssh"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "git-hook" {
		os.Exit(git.Hook(context.Background(), os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// hall adds what sessions need to the platform in memory: its commands echo.
type hall struct {
	*fake.Platform
	known string
}

func (h *hall) AuthenticateKey(_ context.Context, fingerprint string) (stead.Actor, error) {
	if fingerprint != h.known {
		return stead.Actor{}, errors.New("unknown key")
	}
	return stead.System, nil
}

func (h *hall) Run(ctx context.Context, ref string, n platform.NewTask) (stead.Task, error) {
	a, err := h.App(ctx, ref)
	return stead.Task{AppID: a.ID, Name: "run.1", Command: n.Command, TTY: n.TTY, Env: n.Env}, err
}

func (h *hall) AttachTask(ctx context.Context, ref, name string, s engine.Streams) (int, error) {
	in, err := io.ReadAll(s.Stdin)
	fmt.Fprintf(s.Stdout, "%s got %s", name, in)
	return 7, err
}

func (h *hall) Exec(ctx context.Context, ref, instance string, c engine.Command, s engine.Streams) (int, error) {
	first := <-s.Resize
	fmt.Fprintf(s.Stdout, "%s %q %v %v %v\r\n", instance, c.Args, c.TTY, c.Env["TERM"], first)
	fmt.Fprintf(s.Stdout, "%v", <-s.Resize)
	return 0, nil
}

type place struct {
	t       *testing.T
	h       *hall
	base    string
	address string
	key     xssh.Signer
	keyFile string
}

func open(t *testing.T) *place {
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
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	signer, _ := xssh.NewSignerFromKey(private)
	block, _ := xssh.MarshalPrivateKey(private, "")
	p := &place{t: t, base: base, key: signer, keyFile: filepath.Join(base, "id")}
	if err := os.WriteFile(p.keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	p.h = &hall{Platform: fake.New(), known: xssh.FingerprintSHA256(signer.PublicKey())}
	p.h.Logs = store
	p.h.Create("hello")
	e := enginefake.New(store, quiet)
	g, err := git.New(p.h, git.Config{Dir: filepath.Join(base, "git"), Socket: filepath.Join(base, "hook.sock"), Hook: []string{os.Args[0], "git-hook"}})
	if err != nil {
		t.Fatal(err)
	}
	l := converge.New(converge.Deps{Platform: p.h, Engines: map[string]engine.Engine{"default": e}, Builder: buildfake.New(), Sources: p.h, Logs: store, Router: &fake.Router{}})
	srv, err := ssh.New(p.h, g, ssh.Config{HostKey: filepath.Join(base, "host")})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- l.Run(ctx) }()
	go func() { ended <- g.Run(ctx) }()
	go func() { ended <- srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		_ = e.Close()
		_ = store.Close()
	})
	return p
}

func (p *place) dial(key xssh.Signer) (*xssh.Client, error) {
	return xssh.Dial("tcp", p.address, &xssh.ClientConfig{User: "git", Auth: []xssh.AuthMethod{xssh.PublicKeys(key)},
		HostKeyCallback: xssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
}

func (p *place) session() *xssh.Session {
	p.t.Helper()
	c, err := p.dial(p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	s, err := c.NewSession()
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func status(err error) int {
	if e, ok := errors.AsType[*xssh.ExitError](err); ok {
		return e.ExitStatus()
	}
	return 0
}

func TestRun(t *testing.T) {
	p := open(t)
	s := p.session()
	s.Stdin = strings.NewReader("input")
	out, err := s.Output("run hello -- cat 'a b'")
	if string(out) != "run.1 got input" || status(err) != 7 {
		t.Errorf("%q, %v", out, err)
	}
}

func TestExecOnTerminal(t *testing.T) {
	p := open(t)
	s := p.session()
	if err := s.RequestPty("xterm", 24, 80, xssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	pipe, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(`exec hello/web.2 -- sh -c "echo \"x\" $HOME"`); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("web.2 [\"sh\" \"-c\" \"echo \\\"x\\\" $HOME\"] true xterm {80 24}\r\n"))
	if _, err := io.ReadFull(pipe, head); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(head), `web.2 ["sh" "-c" "echo \"x\" $HOME"] true xterm {80 24}`) {
		t.Errorf("%q", head)
	}
	if err := s.WindowChange(50, 100); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(pipe)
	if string(rest) != "{100 50}" || s.Wait() != nil {
		t.Errorf("%q", rest)
	}
}

func TestRefusals(t *testing.T) {
	p := open(t)
	for line, want := range map[string]string{
		"":                          "no command",
		"ls -l":                     `no command "ls"`,
		"git-upload-archive 'x'":    "no command",
		"git-receive-pack 'a' 'b'":  "one repository",
		"git-receive-pack 'nope'":   "no app",
		"git-receive-pack '../x'":   "no app",
		"run hello ls":              `"--"`,
		"run hello -- 'x":           "not closed",
		"git-receive-pack $(id)":    "no app",
		"git-upload-pack '; id #'":  "no app",
		strings.Repeat("x", 70_000): "too long",
	} {
		s := p.session()
		var stderr bytes.Buffer
		s.Stderr = &stderr
		if err := s.Run(line); status(err) == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%.40q: %v, %q", line, err, stderr.String())
		}
	}
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	other, _ := xssh.NewSignerFromKey(private)
	if _, err := p.dial(other); err == nil {
		t.Error("an unknown key was let in")
	}
	fi, err := os.Stat(filepath.Join(p.base, "host"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("host key: %v %v", fi, err)
	}
}

func TestGitPush(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the ssh program is missing")
		}
		t.Skip("the ssh program is missing")
	}
	p := open(t)
	tree := filepath.Join(p.base, "tree")
	run := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.base, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.c",
			"GIT_SSH_COMMAND=ssh -F /dev/null -i " + p.keyFile + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("init", "-q", "-b", "main", tree)
	if err := os.WriteFile(filepath.Join(tree, "go.mod"), []byte("module x"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("-C", tree, "add", ".")
	run("-C", tree, "commit", "-q", "-m", "one")
	out := run("-C", tree, "push", "ssh://git@"+p.address+"/hello.git", "main")
	if !strings.Contains(out, "Deployed hello v1") {
		t.Error(out)
	}
	run("clone", "-q", "ssh://git@"+p.address+"/hello.git", tree+"2")
}
