package heroku

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed guard.cjs
var guard []byte

// Files are what one run of the CLI needs on disk.
type Files struct {
	dir       string
	Guard     string // the script loaded before the CLI
	GitConfig string // stands before the user's own git configuration, which it includes
}

// WriteFiles writes them to a folder of their own. remotes is the prefix of git
// remotes as the CLI writes them, which it must find as they are although git
// is told what they stand for; "": git reads them as it is told.
func WriteFiles(getenv func(string) string, remotes string) (*Files, error) {
	dir, err := os.MkdirTemp("", "stead-heroku-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the Heroku CLI: %w", err)
	}
	f := &Files{dir: dir, Guard: filepath.Join(dir, "guard.cjs"), GitConfig: filepath.Join(dir, "gitconfig")}
	if err := os.WriteFile(f.Guard, guard, 0o600); err != nil {
		return nil, err
	}
	return f, os.WriteFile(f.GitConfig, []byte(includes(getenv, remotes)), 0o600)
}

// includes is a git configuration that is the user's own. The CLI writes its
// credential helper to the global one at each command; it does not reach the
// user's this way.
func includes(getenv func(string) string, remotes string) string {
	var b strings.Builder
	if remotes != "" { // the first of equally long prefixes wins
		b.WriteString("[url " + strconv.Quote(remotes) + "]\n\tinsteadOf = " + remotes + "\n")
	}
	paths := []string{getenv("GIT_CONFIG_GLOBAL")}
	if paths[0] == "" {
		paths = []string{"~/.config/git/config", "~/.gitconfig"}
		if x := getenv("XDG_CONFIG_HOME"); x != "" {
			paths[0] = filepath.Join(x, "git", "config")
		}
	}
	for _, p := range paths {
		b.WriteString("[include]\n\tpath = " + strconv.Quote(p) + "\n")
	}
	return b.String()
}

// Remove removes them.
func (f *Files) Remove() error { return os.RemoveAll(f.dir) }
