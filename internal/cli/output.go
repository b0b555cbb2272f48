package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/steadpaas/stead"
)

// Colours, as SGR parameters (ECMA-48, section 8.3.117).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	faint  = "2"
)

// paint colours text that goes to a terminal on standard error or output.
func (sh *shell) paint(sgr, text string) string {
	if sh.getenv("NO_COLOR") != "" || !tty(sh.err) || !tty(sh.out) {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// say talks to the person; data never goes this way.
func (sh *shell) say(format string, args ...any) { fmt.Fprintf(sh.err, format+"\n", args...) }

// print writes data: as JSON with -o json, else by text.
func (sh *shell) print(v any, text func()) error {
	if sh.format != "json" {
		text()
		return nil
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.IsNil() {
		v = []struct{}{} // an empty list is [], not null
	}
	e := json.NewEncoder(sh.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows below a head, in columns. With no rows it says none.
func (sh *shell) table(none string, head []string, rows [][]string) {
	if len(rows) == 0 {
		sh.say("%s", none)
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(head, "\t")))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush()
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(sh.out, strings.TrimRight(line, " \n"))
	}
}

// fields writes name: value pairs, those with a value.
func (sh *shell) fields(pairs ...string) {
	w := tabwriter.NewWriter(sh.out, 0, 0, 3, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", pairs[i], pairs[i+1])
		}
	}
	_ = w.Flush()
}

// ago says how long t is past, coarsely.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return t.Local().Format(time.DateOnly)
}

const sgrReset = "\x1b[0m"

// safe makes text from elsewhere harmless on a terminal: control characters
// other than tab and colours are dropped, bytes that are not UTF-8 become
// U+FFFD (some terminals take a lone 0x9b for the start of a sequence), and a
// colour that is left on is switched off.
func safe(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, unsafeRune) {
		return s
	}
	var b strings.Builder
	last := sgrReset
	for i := 0; i < len(s); {
		if n := sgrLen(s[i:]); n > 0 {
			last = s[i : i+n]
			b.WriteString(last)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unsafeRune(r) {
			b.WriteRune(r) // utf8.RuneError for a byte that is none
		}
		i += n
	}
	if last != sgrReset && last != "\x1b[m" {
		b.WriteString(sgrReset)
	}
	return b.String()
}

// unsafeRune reports whether r is of C0 or C1 (ECMA-48, section 5), but for
// tab, or DEL.
func unsafeRune(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0
}

// safeLines is safe for text of several lines.
func safeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = safe(lines[i])
	}
	return strings.Join(lines, "\n  ")
}

// sgrLen returns the length of the colour sequence that s starts with, or 0.
func sgrLen(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s) && i < 24; i++ {
		if s[i] == 'm' {
			return i + 1
		}
		if s[i] != ';' && (s[i] < '0' || s[i] > '9') {
			return 0
		}
	}
	return 0
}

// line writes a line of an app's log.
func (sh *shell) line(l stead.Line) {
	head := fmt.Sprintf("%s %s[%s]:", l.At.UTC().Format("2006-01-02T15:04:05.000000+00:00"), l.Source, l.Process)
	colour := cyan
	if l.Source != "app" {
		colour = faint
	}
	if l.Stream == "stderr" {
		colour = yellow
	}
	fmt.Fprintf(sh.out, "%s %s\n", sh.paint(colour, head), safe(l.Text))
}
