package stead

import (
	"regexp"
	"strconv"
	"strings"
)

// Limits on a Procfile, which is hostile input.
const (
	maxProcfile      = 64 << 10
	maxProcfileTypes = 50
)

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// ParseProcfile reads a Procfile: one "type: command" a line, blank lines and
// lines that start with # left out
// (https://devcenter.heroku.com/articles/procfile).
func ParseProcfile(data []byte) (map[string]Command, error) {
	if len(data) > maxProcfile {
		return nil, Invalid("Procfile", "the Procfile is larger than 64 KiB", "keep one short command a line and move scripts to files")
	}
	out := map[string]Command{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		m := procfileLine.FindStringSubmatch(line)
		at := "Procfile line " + strconv.Itoa(i+1)
		if m == nil || strings.ContainsRune(line, 0) {
			return nil, Invalid("Procfile", at+" is not \"type: command\": "+quote(line), "write for example: web: ./server --port $PORT")
		}
		if err := CheckProcessType(at, m[1]); err != nil {
			return nil, err
		}
		if m[1] == ProcessRun {
			return nil, Invalid("Procfile", at+" names a process \"run\", which is kept for one-off tasks", "choose another name")
		}
		if _, twice := out[m[1]]; twice {
			return nil, Invalid("Procfile", at+" names "+m[1]+" a second time", "give each process type one line")
		}
		if out[m[1]] = Shell(m[2]); len(out) > maxProcfileTypes {
			return nil, Invalid("Procfile", "the Procfile has more than 50 process types", "split the app")
		}
	}
	return out, nil
}
