package logs

import (
	"slices"
	"strings"
)

// timeFormat is RFC 3339 with microseconds and a numeric zone, as Heroku's
// logs have it.
const timeFormat = "2006-01-02T15:04:05.000000-07:00"

// Format returns the line as people read it:
//
//	2006-01-02T15:04:05.000000+00:00 app[web.1]: text
func Format(l Line) string {
	return l.At.UTC().Format(timeFormat) + " " + l.Source + "[" + l.Process + "]: " + l.Text
}

// match reports whether the line is one that the query asks for.
func (q Query) match(source, process string) bool {
	if q.Source != "" && !slices.Contains(strings.Split(q.Source, ","), source) {
		return false
	}
	if q.Process == "" || q.Process == process {
		return true
	}
	rest, ok := strings.CutPrefix(process, q.Process)
	return ok && rest[0] == '.'
}
