package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestFake runs the scripts that need no container, against a platform whose
// engine is in memory.
func TestFake(t *testing.T) {
	runScripts(t, start(t, "fake"), "../scripts/fake")
}

// TestReal runs the scripts against a platform with the real engine.
func TestReal(t *testing.T) {
	needRealEngine(t)
	runScripts(t, start(t, "containerd"), "../scripts/real")
}

func runScripts(t *testing.T, p *platform, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, p.env...)
			e.Vars = append(e.Vars, "HOME="+e.WorkDir, "STEAD_CONFIG_DIR="+filepath.Join(e.WorkDir, ".stead"), "STEAD_URL="+p.api, "TOKEN="+p.token,
				"API="+p.api, "SSH="+p.ssh, "DOMAIN="+p.domain, "ROUTER="+p.router, "ROOT="+root, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
				"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
			return os.WriteFile(filepath.Join(e.WorkDir, ".gitconfig"), []byte("[init]\n\tdefaultBranch = main\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"get":     func(ts *testscript.TestScript, neg bool, args []string) { cmdGet(ts, p, neg, args) },
			"copy":    func(ts *testscript.TestScript, _ bool, args []string) { cmdCopy(ts, args) },
			"code":    func(ts *testscript.TestScript, _ bool, args []string) { cmdCode(ts, args) },
			"receive": func(ts *testscript.TestScript, _ bool, args []string) { cmdReceive(ts, args) },
			"await":   func(ts *testscript.TestScript, _ bool, args []string) { cmdAwait(ts, args) },
		},
	})
}

// cmdGet is "get HOST PATH [TEXT]": the request is answered with 200 and the
// text is in it; with "!", it is not. What a command said is done, is.
func cmdGet(ts *testscript.TestScript, p *platform, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: get HOST PATH [TEXT]")
	}
	text := strings.Join(args[2:], " ")
	status, body, err := p.fetch(args[0], args[1])
	ts.Check(err)
	if (status == http.StatusOK && strings.Contains(body, text)) == neg {
		ts.Fatalf("get %s%s: %d\n%s", args[0], args[1], status, body)
	}
	fmt.Fprintf(ts.Stdout(), "%d\n%s", status, body)
}

func (p *platform) fetch(host, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := p.request(ctx, host, path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// cmdCode is "code N COMMAND ...": the command ends with exit code N.
func cmdCode(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG ...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// cmdCopy is "copy FROM TO": a whole folder.
func cmdCopy(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: copy FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// cmdAwait is "await TEXT COMMAND ...": runs the command until its output has
// the text, for 90 seconds at most.
func cmdAwait(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: await TEXT COMMAND [ARG ...]")
	}
	var out string
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...)
		if out = ts.ReadFile("stdout"); strings.Contains(out, args[0]) {
			return
		}
	}
	ts.Fatalf("%q did not appear in:\n%s", args[0], out)
}

// cmdReceive is "receive FILE": a server at $RECEIVER that appends the bodies
// of all requests to the file, for as long as the script runs.
func cmdReceive(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: receive FILE")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(f, r.Body); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Setenv("RECEIVER", strings.Replace(srv.URL, "http://", "http://user:secret@", 1)+"/in")
	ts.Defer(func() { srv.Close(); _ = f.Close() })
}
