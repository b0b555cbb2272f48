package plan

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/steadpaas/stead"
)

func TestSatisfies(t *testing.T) {
	for _, c := range []struct {
		line, constraint string
		want             bool
	}{
		{"3.11", "3.11.4", true}, {"3.11", "3.12", false}, {"3.11", ">=3.9", true}, {"3.11", ">=3.9,<4.0", true}, {"3.11", ">=3.12", false},
		{"3.11", "<3.11", false}, {"3.11", "<3.11.9", true}, {"3.11", "<3.12", true}, {"3.11", "!=3.11.2", true}, {"3.11", "!=3.11.*", false}, {"3.11", "3.*", true},
		{"8.2", "^8.1", true}, {"8.2", "^8.2.5", true}, {"8.2", "^7.4|^8.0", true}, {"8.2", "^7.4 || ^8.0", true}, {"8.2", "~8.1.0", false}, {"8.2", "~8.1", true},
		{"8.2", ">=7.1.3 <8.3", true}, {"8.2", "^9", false}, {"8.2", "*", true}, {"8.2", "7.4 - 8.2", true},
		{"3.1", "~> 3.1", true}, {"3.3", "~> 3.1", true}, {"3.3", "~> 3.1.2", false}, {"3.1", ">= 2.7, < 3.2", true}, {"1.14", "~> 1.14", true}, {"1.14", "~> 1.15", false},
		{"17", "17.0.9", true}, {"17", ">=11", true}, {"17", "21", false}, {"17", "^17", true}, {"1.85", "1.70.0", false}, {"1.85", ">=1.70.0", true},
		{"3.11", "", false}, {"3.11", "latest", false}, {"3.11", "3.11; rm -rf /", false}, {"3.11", strings.Repeat(">", 100), false},
	} {
		if got := Satisfies(c.line, c.constraint); got != c.want {
			t.Errorf("Satisfies(%q, %q) is %v", c.line, c.constraint, got)
		}
	}
}

func TestAskedAndChoose(t *testing.T) {
	lines := []Line{{"3.1", Bookworm}, {"3.3", Trixie}}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
		err  string
	}{
		"none":            {fstest.MapFS{}, "3.1", ""},
		"file":            {fstest.MapFS{".ruby-version": {Data: []byte("# ours\nruby-3.3.1\n")}}, "3.3", ""},
		"tools":           {fstest.MapFS{".tool-versions": {Data: []byte("nodejs 20\nruby 3.3.0 # note\n")}}, "3.3", ""},
		"file over tools": {fstest.MapFS{".ruby-version": {Data: []byte("3.1")}, ".tool-versions": {Data: []byte("ruby 3.3.0\n")}}, "3.1", ""},
		"not to be had":   {fstest.MapFS{".ruby-version": {Data: []byte("3.2.2")}}, "", "the versions are 3.1, 3.3"},
		"hostile":         {fstest.MapFS{".ruby-version": {Data: []byte(strings.Repeat("\x1b[31m", 100))}}, "", "not to be had"},
	} {
		asked, err := AskedIn(c.tree, []string{".ruby-version"}, []string{"ruby"}, "ruby-")
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := Choose("Ruby", lines, asked)
		if c.err != "" {
			if e, ok := err.(*stead.Error); !ok || !strings.Contains(e.Msg+e.Hint, c.err) || strings.ContainsRune(e.Msg, 0x1b) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || got.Version != c.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, c.want)
		}
	}
}

func FuzzSatisfies(f *testing.F) {
	f.Add("3.11", ">=3.9,<4.0 || ^2")
	f.Fuzz(func(t *testing.T, line, constraint string) { Satisfies(line, constraint) })
}
