package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var documented = regexp.MustCompile("(?m)(?:^    |`|\\| |[;/] |  )(?:echo .*)?(?:bin/)?stead ((?:--?)?[a-z][^`\\n]*)")

// TestDocumentsAreTrue looks up every command and flag that the documents show.
func TestDocumentsAreTrue(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	sh := &shell{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: os.Getenv}
	root := sh.root()
	root.InitDefaultCompletionCmd()
	seen := 0
	for _, file := range append(files, "../../README.md", "../../examples/hello/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
			line, _, _ := strings.Cut(m[1], "  ") // what follows explains it
			line, _, _ = strings.Cut(line, " #")
			if check(t, root, filepath.Base(file), line) {
				seen++
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d commands were found in the documents", seen)
	}
}

// check looks one line up, and reports whether it is a command.
func check(t *testing.T, root *cobra.Command, file, line string) bool {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", ";", " ; ").Replace(line))
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		t.Errorf("%s: there is no command %q", file, line)
		return false
	}
	if cmd.DisableFlagParsing { // another program's flags
		return true
	}
	for _, w := range rest {
		if w == "--" || w == ";" || w == "|" || w[0] == '"' {
			break
		}
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		switch {
		case strings.HasPrefix(w, "--") && name != "help" && cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil,
			strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && cmd.Flags().ShorthandLookup(name) == nil && cmd.InheritedFlags().ShorthandLookup(name) == nil:
			t.Errorf("%s: %q has no flag %s", file, line, w)
		}
	}
	return true
}
