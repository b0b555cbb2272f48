package ssh

import (
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/ingress/git"
)

// verb is what a session's command asks for.
type verb string

const (
	verbGit  verb = "git"
	verbRun  verb = "run"
	verbExec verb = "exec"
)

// command is a session's command line, understood.
type command struct {
	verb     verb
	git      git.Verb
	app      string
	instance string
	args     []string
}

const usage = `Stead serves these commands over SSH:
  git-receive-pack 'APP.git'          what git push asks for
  git-upload-pack 'APP.git'           what git fetch asks for
  run APP -- COMMAND [ARG…]           a one-off command with the app's release and config
  exec APP[/INSTANCE] -- COMMAND …    a command in a running instance, such as web.1`

const maxCommand = 64 << 10

// parseCommand reads a session's command line: words, in which quotes and
// backslashes have their usual meaning and nothing else has any.
func parseCommand(line string) (command, error) {
	words, err := split(line)
	if err != nil {
		return command{}, err
	}
	if len(words) == 0 {
		return command{}, stead.Invalid("command", "no command was given", usage)
	}
	if v, ok := git.ParseVerb(words[0]); ok {
		if len(words) != 2 {
			return command{}, stead.Invalid("command", words[0]+" takes one repository", usage)
		}
		return command{verb: verbGit, git: v, app: strings.TrimSuffix(strings.TrimPrefix(words[1], "/"), ".git")}, nil
	}
	v := verb(words[0])
	if v != verbRun && v != verbExec {
		return command{}, stead.Invalid("command", "there is no command "+quoted(words[0])+" here", usage)
	}
	if len(words) < 4 || words[2] != "--" {
		return command{}, stead.Invalid("command", words[0]+" needs an app, \"--\" and a command", usage)
	}
	c := command{verb: v, app: words[1], args: words[3:]}
	if v == verbExec {
		c.app, c.instance = splitInstance(words[1])
	}
	return c, nil
}

// splitInstance takes an instance's name, which has a dot, off an app's reference.
func splitInstance(s string) (app, instance string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 || !strings.Contains(s[i:], ".") {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}

// split splits a line into words as a POSIX shell would, without any
// expansion: nothing is ever run by a shell.
func split(line string) ([]string, error) {
	if len(line) > maxCommand || strings.ContainsRune(line, 0) {
		return nil, stead.Invalid("command", "the command is too long, or contains a NUL byte", "give a shorter one")
	}
	var words []string
	var word strings.Builder
	open, quote, escaped := false, rune(0), false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			open, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			open, quote = true, r
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			open = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, stead.Invalid("command", "a quote in the command is not closed", "close it")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
