package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steadpaas/stead"
)

func TestLoginKeepsTheToken(t *testing.T) {
	p := serve(t, map[string]any{"GET /v1/me": stead.User{Email: "ann@example.com"}})
	config := cleanHome(t)
	code, out, errs := runWith(t, strings.NewReader(token+"\n"), "login", "--api", p.URL, "--token-stdin")
	if code != 0 || out != "" || !strings.Contains(errs, "as ann@example.com") || strings.Contains(errs, token) {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	modes(t, config)
	if code, out, _ := run(t, "whoami"); code != 0 || out != "ann@example.com\n" {
		t.Errorf("whoami: %d %q", code, out)
	}
	if code, _, errs := run(t, "logout"); code != 0 {
		t.Errorf("logout: %d %s", code, errs)
	}
	if code, _, _ := run(t, "whoami"); code != 4 {
		t.Errorf("whoami after logout: exit %d", code)
	}
	if _, err := os.Stat(config); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something of the login is still there: %v", err)
	}
}

func modes(t *testing.T, config string) {
	t.Helper()
	for path, want := range map[string]fs.FileMode{config: 0o700, filepath.Join(config, "logins.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
	if files, _ := os.ReadDir(config); len(files) != 1 {
		t.Errorf("something else was left: %v", files)
	}
}

func TestLoginNarrowsAnOpenFile(t *testing.T) {
	p := serve(t, map[string]any{"GET /v1/me": stead.User{Email: "ann@example.com"}})
	config := cleanHome(t)
	if err := os.Mkdir(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "logins.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runWith(t, strings.NewReader(token), "login", "--api", p.URL, "--token-stdin"); code != 0 {
		t.Fatal(errs)
	}
	modes(t, config)
}

func TestRefusedTokenIsNotKept(t *testing.T) {
	p := serve(t, nil)
	config := cleanHome(t)
	if code, _, _ := runWith(t, strings.NewReader("stead_wrong\n"), "login", "--api", p.URL, "--token-stdin"); code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
	if _, err := os.Stat(config); err == nil {
		t.Error("something was kept")
	}
}

func TestDamagedLogins(t *testing.T) {
	config := cleanHome(t)
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "logins.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := run(t, "whoami"); code != 2 || !strings.Contains(errs, "logins.json") || !strings.Contains(errs, "stead login") {
		t.Errorf("%d %q", code, errs)
	}
}

// keep writes logins without a platform behind them.
func keep(t *testing.T, config string, l logins) {
	t.Helper()
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "logins.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredential(t *testing.T) {
	config := cleanHome(t)
	keep(t, config, logins{Current: "https://one.example.com", Logins: map[string]login{
		"https://one.example.com": {URL: "https://one.example.com", Token: "token1"},
		"http://127.0.0.1:7800":   {URL: "http://127.0.0.1:7800", Token: "token2"},
	}})
	for _, c := range []struct{ operation, asked, want string }{
		{"get", "protocol=https\nhost=one.example.com\n", "username=stead\npassword=token1\n"},
		{"get", "protocol=https\nhost=one.example.com\n\n", "username=stead\npassword=token1\n"},
		{"get", "protocol=http\nhost=127.0.0.1:7800\n", "username=stead\npassword=token2\n"},
		{"get", "protocol=http\nhost=one.example.com\n", ""}, // never in the clear
		{"get", "protocol=https\nhost=one.example.com.evil.example\n", ""},
		{"get", "protocol=https\nhost=evil.example\n", ""},
		{"get", "protocol=https\nhost=one.example.com:8443\n", ""},
		{"get", "protocol=http\nhost=127.0.0.1\n", ""},
		{"get", "", ""},
		{"store", "protocol=https\nhost=one.example.com\npassword=x\n", ""},
		{"erase", "protocol=https\nhost=one.example.com\n", ""},
	} {
		code, out, errs := runWith(t, strings.NewReader(c.asked), "git", "credential", c.operation)
		if code != 0 || out != c.want || errs != "" {
			t.Errorf("%s %q: %d %q %q, want %q", c.operation, c.asked, code, out, errs, c.want)
		}
	}
}

func TestAppIsFound(t *testing.T) {
	a := func(name string) stead.App { return stead.App{ID: "1", Name: name, URL: "http://" + name} }
	p := serve(t, map[string]any{"GET /v1/apps/flag": a("flag"), "GET /v1/apps/variable": a("variable"), "GET /v1/apps/remote": a("remote")})
	other := serve(t, map[string]any{"GET /v1/apps/remote": a("remote-of-other")})
	config := cleanHome(t)
	keep(t, config, logins{Current: p.URL, Logins: map[string]login{p.URL: {URL: p.URL, Token: token}, other.URL: {URL: other.URL, Token: token}}})
	gitIn(t, "init", "-q", ".")
	gitIn(t, "remote", "add", "stead", p.URL+"/git/remote.git")
	name := func(args ...string) string {
		t.Helper()
		code, out, errs := run(t, append([]string{"info", "-o", "json"}, args...)...)
		var got stead.App
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Errorf("exit %d, %v: %s", code, err, errs)
		}
		return got.Name
	}
	if got := name(); got != "remote" {
		t.Errorf("by the remote: %q", got)
	}
	t.Setenv("STEAD_APP", "variable")
	if got := name(); got != "variable" {
		t.Errorf("by the variable: %q", got)
	}
	if got := name("-a", "flag"); got != "flag" {
		t.Errorf("by the flag: %q", got)
	}
	t.Setenv("STEAD_APP", "")
	gitIn(t, "remote", "set-url", "stead", other.URL+"/git/remote.git")
	if got := name(); got != "remote-of-other" {
		t.Errorf("the folder is pushed to another platform, but this one was asked: %q", got)
	}
	if got := name("--api", p.URL); got != "remote" {
		t.Errorf("--api: %q", got)
	}
}

func TestCreateAddsTheRemote(t *testing.T) {
	made := stead.App{ID: "1", Name: "hello", URL: "http://hello.stead.localhost:8080", GitURL: "http://127.0.0.1:7800/git/hello.git", SSHURL: "ssh://h:2222/hello.git"}
	p := serve(t, map[string]any{"POST /v1/apps": made, "GET /v1/apps/hello": made})
	config := cleanHome(t)
	keep(t, config, logins{Current: p.URL, Logins: map[string]login{p.URL: {URL: p.URL, Token: token}}})
	gitIn(t, "init", "-q", ".")
	code, out, errs := run(t, "create", "hello")
	if code != 0 || out != made.URL+"\n" || !strings.Contains(errs, "Created hello") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	if got, want := gitIn(t, "remote", "get-url", "stead"), p.URL+"/git/hello.git"; got != want {
		t.Errorf("remote %q, want %q", got, want)
	}
	if got := gitIn(t, "config", "credential."+p.URL+".helper"); !strings.HasSuffix(got, "' git credential") {
		t.Errorf("helper %q", got)
	}
	if code, _, _ := run(t, "git", "remote", "--ssh", "-a", "hello"); code != 0 || gitIn(t, "remote", "get-url", "stead") != made.SSHURL {
		t.Error("the remote was not set to SSH")
	}
}
