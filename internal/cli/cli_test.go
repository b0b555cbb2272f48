package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
)

// platform answers the v1 API with fixed answers, and remembers who asked what.
type platform struct {
	URL     string
	answers map[string]any // "GET /v1/me" → a value, or a stead.Problem
	mu      sync.Mutex
	asked   []string
}

const token = "stead_test"

func serve(t *testing.T, answers map[string]any) *platform {
	t.Helper()
	p := &platform{answers: answers}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Method + " " + r.URL.Path
	p.mu.Lock()
	p.asked = append(p.asked, key)
	p.mu.Unlock()
	answer, ok := p.answers[key]
	if r.Header.Get("Authorization") != "Bearer "+token {
		answer, ok = problem(stead.KindUnauthenticated), true
	}
	if !ok {
		answer = problem(stead.KindNotFound)
	}
	w.Header().Set("Content-Type", "application/json")
	if pr, is := answer.(stead.Problem); is {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(pr.Status)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func problem(k stead.Kind) stead.Problem {
	status := map[stead.Kind]int{stead.KindInvalid: 422, stead.KindUnauthenticated: 401, stead.KindForbidden: 403,
		stead.KindNotFound: 404, stead.KindConflict: 409, stead.KindPrecondition: 409, stead.KindLimit: 429}[k]
	if status == 0 {
		status = 500
	}
	return stead.Problem{Type: "about:blank", Status: status, Kind: k.String(), Detail: "it is " + k.String(), Hint: "do else"}
}

func list[T any](items ...T) map[string]any {
	return map[string]any{"items": append([]T{}, items...), "next": ""}
}

// deaf fails the test when it is read: a command that asks something of a
// pipe would hang where nobody answers.
type deaf struct{ t *testing.T }

func (d deaf) Read([]byte) (int, error) {
	d.t.Error("standard input was read")
	return 0, io.EOF
}

// cleanHome gives the command a place of its own, without a login.
func cleanHome(t *testing.T) (config string) {
	t.Helper()
	config = filepath.Join(t.TempDir(), "config")
	for k, v := range map[string]string{"STEAD_CONFIG_DIR": config, "STEAD_URL": "", "STEAD_TOKEN": "", "STEAD_APP": "",
		"HOME": t.TempDir(), "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_DIR": ""} {
		t.Setenv(k, v)
	}
	if err := os.Unsetenv("GIT_DIR"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	return config
}

func loggedIn(t *testing.T, p *platform) {
	t.Helper()
	cleanHome(t)
	t.Setenv("STEAD_URL", p.URL)
	t.Setenv("STEAD_TOKEN", token)
}

func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return runWith(t, deaf{t}, args...)
}

func runWith(t *testing.T, in io.Reader, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(args, in, &o, &e)
	return code, o.String(), e.String()
}

func TestWhoami(t *testing.T) {
	me := stead.User{ID: "u", Email: "ann@example.com", Admin: true}
	loggedIn(t, serve(t, map[string]any{"GET /v1/me": me}))
	if code, out, errs := run(t, "whoami"); code != 0 || out != "ann@example.com\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	code, out, _ := run(t, "whoami", "-o", "json")
	var got stead.User
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Email != me.Email || !got.Admin {
		t.Errorf("%d %q %v", code, out, err)
	}
}

func TestApps(t *testing.T) {
	a := stead.App{ID: "1", Name: "hello", Org: "default", Space: "default", URL: "http://hello.stead.localhost:8080", Release: 3}
	b := stead.App{ID: "2", Name: "bill", Org: "acme", Space: "shop", URL: "http://bill.stead.localhost:8080"}
	loggedIn(t, serve(t, map[string]any{"GET /v1/apps": list(a, b)}))
	code, out, _ := run(t, "apps")
	for _, want := range []string{"APP", "hello", "v3", "acme/shop/bill", "http://bill.stead.localhost:8080"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, out)
		}
	}
	if strings.Contains(out, "default/") || strings.Contains(out, "\x1b") {
		t.Errorf("the default org, or a colour, in\n%s", out)
	}
	_, out, _ = run(t, "apps", "-o", "json")
	var got []stead.App
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 2 || got[0].Release != 3 || got[1].Org != "acme" {
		t.Errorf("%q %v", out, err)
	}
}

func TestEmptyLists(t *testing.T) {
	loggedIn(t, serve(t, map[string]any{"GET /v1/apps": list[stead.App](), "GET /v1/apps/hello/builds": list[stead.Build](),
		"GET /v1/apps/hello/releases": map[string]any{"items": nil}}))
	for _, cmd := range []string{"apps", "builds", "releases"} {
		if code, out, errs := run(t, cmd, "-a", "hello", "-o", "json"); code != 0 || strings.TrimSpace(out) != "[]" {
			t.Errorf("%s: %d %q %q", cmd, code, out, errs)
		}
		if code, out, errs := run(t, cmd, "-a", "hello"); code != 0 || out != "" || !strings.Contains(errs, "No "+cmd+" yet") {
			t.Errorf("%s: %d %q %q", cmd, code, out, errs)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for kind, want := range map[stead.Kind]int{
		stead.KindInternal: 1, stead.KindInvalid: 2, stead.KindUnauthenticated: 4, stead.KindForbidden: 4, stead.KindNotFound: 3,
		stead.KindConflict: 1, stead.KindPrecondition: 1, stead.KindLimit: 1,
	} {
		loggedIn(t, serve(t, map[string]any{"GET /v1/apps/hello": problem(kind)}))
		code, out, errs := run(t, "info", "-a", "hello")
		if code != want || out != "" || !strings.Contains(errs, "Error: it is "+kind.String()+"\n  try: do else\n") {
			t.Errorf("%s: exit %d, want %d; %q %q", kind, code, want, out, errs)
		}
	}
	sh := &shell{err: io.Discard, out: io.Discard, getenv: os.Getenv}
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 0}, {exitCode(17), 17}, {errors.New("x"), 1}, {usage{errors.New("x")}, 2}, {stead.Unavailable("x", "", nil), 5}, {t.Context().Err(), 0}} {
		if got := sh.explain(c.err); got != c.want {
			t.Errorf("explain(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	cleanHome(t)
	for _, args := range [][]string{
		{"frobnicate"}, {"apps", "--frobnicate"}, {"apps", "x"}, {"info", "-o", "yaml", "-a", "x"}, {"rename"}, {"rename", "-a", "x"},
		{"config", "get"}, {"config", "set", "-a", "x"}, {"maintenance", "maybe", "-a", "x"}, {"git", "frobnicate"}, {"run", "-a", "x"},
		{"logs", "-n", "many"}, {"info"}, {"login"}, {"login", "--api", "ftp://x"}, {"keys", "add", "a", "b"}, {"builds", "output"},
	} {
		code, out, errs := run(t, args...)
		if code != 2 || out != "" || !strings.HasPrefix(errs, "Error: ") {
			t.Errorf("%q: exit %d, want 2; %q %q", args, code, out, errs)
		}
	}
}

func TestUsageBehindTheLogin(t *testing.T) {
	loggedIn(t, serve(t, nil))
	for _, args := range [][]string{
		{"config", "set", "NOVALUE"}, {"scale", "web"}, {"scale", "web=x"}, {"rollback", "latest"}, {"builds", "output", "x"},
		{"run", "-e", "NOVALUE", "--", "ls"}, {"exec", "web.1", "--"},
	} {
		if code, out, errs := run(t, append(args[:1:1], append([]string{"-a", "hello"}, args[1:]...)...)...); code != 2 || out != "" {
			t.Errorf("%q: exit %d, want 2; %q %q", args, code, out, errs)
		}
	}
}

func TestNotLoggedIn(t *testing.T) {
	cleanHome(t)
	for _, args := range [][]string{{"whoami"}, {"apps"}, {"info", "-a", "hello"}, {"push", "-a", "hello"}, {"logs", "-a", "hello", "--tail"}} {
		code, out, errs := run(t, args...)
		if code != 4 || out != "" || !strings.Contains(errs, "not logged in") || !strings.Contains(errs, "stead login --api") {
			t.Errorf("%q: exit %d, want 4; %q %q", args, code, out, errs)
		}
	}
}

// closedURL is an address where nobody listens.
func closedURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestUnreachable(t *testing.T) {
	loggedIn(t, &platform{URL: closedURL(t)})
	for _, args := range [][]string{{"whoami"}, {"logs", "-a", "hello"}, {"scale", "web=2", "-a", "hello"}, {"status"}} {
		code, out, errs := run(t, args...)
		if code != 5 || out != "" || !strings.Contains(errs, "does not answer") || !strings.Contains(errs, "try: ") {
			t.Errorf("%q: exit %d, want 5; %q %q", args, code, out, errs)
		}
	}
	if code, out, _ := run(t, "version"); code != 0 || !strings.Contains(out, Version) {
		t.Errorf("version: %d %q", code, out)
	}
	if code, out, _ := run(t, "doctor"); code != 1 || !strings.Contains(out, "FAIL  platform") {
		t.Errorf("doctor: %d %q", code, out)
	}
}

func TestHostileMessage(t *testing.T) {
	bad := problem(stead.KindPrecondition)
	bad.Detail, bad.Hint = "last lines:\nboom\x1b]0;owned\x07\r\x9b", "\x1b[2Jx"
	loggedIn(t, serve(t, map[string]any{"GET /v1/apps/hello": bad}))
	_, _, errs := run(t, "info", "-a", "hello")
	if strings.ContainsAny(errs, "\x1b\x07\r") || !strings.Contains(errs, "last lines:\n  boom]0;owned") {
		t.Errorf("%q", errs)
	}
}

func TestEveryCommandIsDescribed(t *testing.T) {
	sh := &shell{in: deaf{t}, out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }, dir: t.TempDir()}
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.RunE == nil && c.Parent() != nil {
			t.Errorf("%s: short help %q, or it does nothing", c.CommandPath(), c.Short)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(sh.root())
	if seen < 40 {
		t.Errorf("only %d commands", seen)
	}
}

// TestNoPrompts runs every command without a terminal, with just enough
// arguments: none reads standard input, none waits.
func TestNoPrompts(t *testing.T) {
	p := serve(t, map[string]any{"GET /v1/apps/hello": stead.App{ID: "1", Name: "hello"}})
	loggedIn(t, p)
	sh := &shell{in: deaf{t}, out: io.Discard, err: io.Discard, getenv: os.Getenv, dir: "."}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		name := strings.Fields(c.CommandPath())[1:]
		if len(name) == 0 || c.Hidden || c.Name() == "run" || c.Name() == "exec" { // they connect standard input; login is told apart
			return
		}
		args := append(name, "-a", "hello")
		for range strings.Count(strings.TrimPrefix(c.Use, c.Name()), " ") {
			if strings.Contains(c.Use, "[") {
				break
			}
			args = append(args, "1")
		}
		run(t, args...)
	}
	walk(sh.root())
	if code, _, errs := run(t, "login", "--api", p.URL); code != 2 || !strings.Contains(errs, "no terminal") {
		t.Errorf("login: %d %q", code, errs)
	}
	code, _, errs := run(t, "destroy", "-a", "hello")
	if code != 2 || !strings.Contains(errs, "--confirm hello") || p.was("DELETE /v1/apps/1") {
		t.Errorf("destroy: %d %q", code, errs)
	}
}

func (p *platform) was(asked string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.asked {
		if a == asked {
			return true
		}
	}
	return false
}

func TestDestroy(t *testing.T) {
	p := serve(t, map[string]any{"GET /v1/apps/hello": stead.App{ID: "1", Name: "hello"}, "DELETE /v1/apps/1": map[string]any{}})
	loggedIn(t, p)
	if code, _, _ := run(t, "destroy", "-a", "hello", "--confirm", "hallo"); code != 2 || p.was("DELETE /v1/apps/1") {
		t.Errorf("a wrong name destroyed: exit %d", code)
	}
	if code, _, errs := run(t, "destroy", "-a", "hello", "--confirm", "hello"); code != 0 || !p.was("DELETE /v1/apps/1") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func gitIn(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
