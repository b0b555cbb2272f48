package cli

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/steadpaas/stead"
)

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                          "plain text",
		"grüße, 世界 🎉":                         "grüße, 世界 🎉",
		"a\tb":                                "a\tb",
		"\x1b[31mred\x1b[0m":                  "\x1b[31mred\x1b[0m",
		"\x1b[1;38;5;200mpink\x1b[m":          "\x1b[1;38;5;200mpink\x1b[m",
		"\x1b[31mleft on":                     "\x1b[31mleft on\x1b[0m",
		"\x1b[2Jcleared":                      "[2Jcleared",
		"\x1b]0;title\x07":                    "]0;title",
		"\x1b]8;;http://evil\x1b\\x":          "]8;;http://evil\\x",
		"\x1b\x1b[31mx\x1b[0m":                "\x1b[31mx\x1b[0m",
		"\x1b[":                               "[",
		"\x1b[31":                             "[31",
		"\x1b[" + strings.Repeat("1;", 40):    "[" + strings.Repeat("1;", 40),
		"over\rwritten\b\x7f":                 "overwritten",
		"two\nlines":                          "twolines",
		"c1 csi \u009b31m":                    "c1 csi 31m",
		"\x9b2J":                              "\ufffd2J",
		"latin1 \xe9t\xe9":                    "latin1 \ufffdt\ufffd",
		"cut \xe4\xb8":                        "cut \ufffd\ufffd",
		"\xff\x1b[2J\x00":                     "\ufffd[2J",
		"kept \ufffd":                         "kept \ufffd",
		"\x1b[31m\x1b[0m\x9bafter\x1b[32mgo!": "\x1b[31m\x1b[0m\ufffdafter\x1b[32mgo!\x1b[0m",
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	for _, s := range []string{"text", "\x1b[31mred", "\x1b]0;x\x07", "\x9b2J", "\xff\xfe", "\x1b\x1b[1m\x1b[", "\u009b", "é\xe9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := safe(in)
		if !utf8.ValidString(out) {
			t.Fatalf("safe(%q) = %q is not UTF-8", in, out)
		}
		if again := safe(out); again != out {
			t.Fatalf("safe(%q) = %q, and again %q", in, out, again)
		}
		bare := out
		for i := strings.Index(bare, "\x1b"); i >= 0; i = strings.Index(bare, "\x1b") {
			n := sgrLen(bare[i:])
			if n == 0 {
				t.Fatalf("safe(%q) = %q has an escape that is no colour", in, out)
			}
			bare = bare[:i] + "·" + bare[i+n:]
		}
		if strings.ContainsFunc(bare, unsafeRune) {
			t.Fatalf("safe(%q) = %q has a control character", in, out)
		}
	})
}

func TestSafeLines(t *testing.T) {
	if got, want := safeLines("web.1 crashed:\n\x1b[2Jpanic\r\nend"), "web.1 crashed:\n  [2Jpanic\n  end"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppOfRemote(t *testing.T) {
	for remote, want := range map[string]string{
		"http://127.0.0.1:7800/git/hello.git":             "hello",
		"https://stead.example.com/git/hello.git":         "hello",
		"https://stead.example.com/git/hello.git/":        "",
		"https://example.com/stead/git/hello.git":         "hello",
		"https://stead.example.com/git/org/space/app.git": "org/space/app",
		"ssh://stead.example.com:2222/hello.git":          "hello",
		"ssh://git@stead.example.com:2222/s/hello.git":    "s/hello",
		"ssh://stead.example.com/git/s/hello.git":         "git/s/hello",
		"https://github.com/someone/repo.git":             "",
		"https://stead.example.com/git/hello":             "",
		"git@github.com:someone/repo.git":                 "",
		"/srv/git/hello.git":                              "",
		"../hello.git":                                    "",
		"":                                                "",
		"http://[::1/git/x.git":                           "",
	} {
		if got := appOfRemote(remote); got != want {
			t.Errorf("appOfRemote(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestGitURL(t *testing.T) {
	for _, c := range []struct{ platform, repository, want string }{
		{"https://stead.example.com", "http://127.0.0.1:7800/git/hello.git", "https://stead.example.com/git/hello.git"},
		{"http://127.0.0.1:7800", "http://127.0.0.1:7800/git/hello.git", "http://127.0.0.1:7800/git/hello.git"},
		{"https://example.com/stead", "http://127.0.0.1:7800/git/o/s/a.git", "https://example.com/stead/git/o/s/a.git"},
		{"https://stead.example.com", "https://elsewhere.example.com/hello.git", "https://elsewhere.example.com/hello.git"},
	} {
		if got := gitURL(c.platform, c.repository); got != c.want {
			t.Errorf("gitURL(%q, %q) = %q, want %q", c.platform, c.repository, got, c.want)
		}
	}
}

func TestSSHURL(t *testing.T) {
	for _, c := range []struct{ platform, repository, want string }{
		{"http://server.example.com:7800", "ssh://git@127.0.0.1:2222/hello.git", "ssh://git@server.example.com:2222/hello.git"},
		{"http://127.0.0.1:7800", "ssh://git@127.0.0.1:2222/hello.git", "ssh://git@127.0.0.1:2222/hello.git"},
		{"https://stead.example.com", "ssh://git@git.example.com:22/hello.git", "ssh://git@git.example.com:22/hello.git"},
		{"https://stead.example.com", "", ""},
	} {
		if got := sshURL(c.platform, c.repository); got != c.want {
			t.Errorf("sshURL(%q, %q) = %q, want %q", c.platform, c.repository, got, c.want)
		}
	}
}

func TestCleanURL(t *testing.T) {
	for in, want := range map[string]string{
		"stead.example.com":          "https://stead.example.com",
		"https://stead.example.com/": "https://stead.example.com",
		"http://127.0.0.1:7800":      "http://127.0.0.1:7800",
		"127.0.0.1:7800":             "http://127.0.0.1:7800",
		"localhost:7800":             "http://localhost:7800",
		"api.stead.localhost":        "http://api.stead.localhost",
		"[::1]:7800":                 "http://[::1]:7800",
		"10.0.0.1:7800":              "https://10.0.0.1:7800",
		"https://x.example.com/a/":   "https://x.example.com/a",
		"ftp://x.example.com":        "",
		"https://me:pw@x.example":    "",
		"https://":                   "",
		"":                           "",
	} {
		got, err := cleanURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("cleanURL(%q) = %q, %v, want %q", in, got, err, want)
		}
		if err != nil && stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("cleanURL(%q): %v is not of the kind invalid", in, err)
		}
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want stead.Command
	}{
		{[]string{"sh"}, stead.Command{"sh"}},
		{[]string{"ls", "-l", "a b"}, stead.Command{"ls", "-l", "a b"}},
		{[]string{"ls -l | wc"}, stead.Command{"/bin/sh", "-c", "ls -l | wc"}},
		{[]string{"echo $HOME"}, stead.Command{"/bin/sh", "-c", "echo $HOME"}},
		{[]string{"./a;./b"}, stead.Command{"/bin/sh", "-c", "./a;./b"}},
		{[]string{"echo", "$HOME;id"}, stead.Command{"echo", "$HOME;id"}}, // as it is: no shell
	} {
		if got := command(c.args); !slices.Equal(got, c.want) {
			t.Errorf("command(%q) = %q, want %q", c.args, got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	getenv := func(string) string { return "xterm" }
	got, err := environment([]string{"A=1", "B=x=y", "C="}, true, getenv)
	if err != nil || len(got) != 4 || got["A"] != "1" || got["B"] != "x=y" || got["C"] != "" || got["TERM"] != "xterm" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, _ := environment(nil, false, getenv); len(got) != 0 {
		t.Errorf("without a terminal there is %v", got)
	}
	if _, err := environment([]string{"A"}, false, getenv); err == nil {
		t.Error("A without a value was taken")
	}
}

func TestMissingOf(t *testing.T) {
	web := stead.Process{Type: "web", Quantity: 2}
	at := func(name string, s stead.InstanceState, reason string) stead.Instance {
		process, _, _ := strings.Cut(name, ".")
		return stead.Instance{Name: name, Process: process, State: s, Reason: reason}
	}
	up1, up2 := at("web.1", "up", ""), at("web.2", "up", "")
	for _, c := range []struct {
		name      string
		process   stead.Process
		instances []stead.Instance
		want      string
	}{
		{"all up", web, []stead.Instance{up1, up2}, ""},
		{"none yet", web, nil, "web: 0 of 2 up"},
		{"one starts", web, []stead.Instance{up1, at("web.2", "starting", "")}, "web: 1 of 2 up"},
		{"one crashed", web, []stead.Instance{up1, at("web.2", "crashed", "exit status 1")}, "web: 1 of 2 up; web.2: exit status 1"},
		{"a successor crashed", web, []stead.Instance{up1, up2, at("web.1", "crashed", "")}, "web.1 is crashed"},
		{"one stops", web, []stead.Instance{up1, up2, at("web.3", "stopping", "")}, ""},
		{"others do not count", web, []stead.Instance{at("worker.1", "up", ""), up1, up2}, ""},
	} {
		if got := missingOf(c.process, c.instances); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTaskName(t *testing.T) {
	for in, want := range map[string]bool{"run.1": true, "release.12": true, "web.1": false, "run": false, "run.x": false, "run.1.2": false} {
		if taskName(in) != want {
			t.Errorf("taskName(%q) = %v", in, !want)
		}
	}
}
