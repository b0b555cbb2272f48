package plan

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// Asked is the version of a runtime that a project's own file asks for; zero:
// none does.
type Asked struct {
	Version string // as it is written: "3.11.4", "^8.1", ">= 3.1, < 4"
	From    string // the file: ".ruby-version"
}

// AskedIn returns the version in the first of the files that is there and has
// one: files of one line, without the prefixes such as "ruby-" or "v". The last
// resort is the line of one of the names in .tool-versions (asdf, mise).
func AskedIn(tree fs.FS, files, names []string, prefixes ...string) (Asked, error) {
	for _, name := range files {
		data, ok, err := ReadFile(tree, name)
		if err != nil {
			return Asked{}, err
		}
		if line := firstLine(data); ok && line != "" {
			return Asked{cut(line, prefixes), name}, nil
		}
	}
	data, _, err := ReadFile(tree, ".tool-versions")
	if err != nil {
		return Asked{}, err
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(strings.SplitN(line, "#", 2)[0])
		for _, name := range names {
			if len(words) > 1 && words[0] == name {
				return Asked{cut(words[1], prefixes), ".tool-versions"}, nil
			}
		}
	}
	return Asked{}, nil
}

func firstLine(data []byte) string {
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

func cut(s string, prefixes []string) string {
	for _, p := range prefixes {
		s = strings.TrimPrefix(s, p)
	}
	return s
}

// Line is a line of a runtime's releases that Debian keeps, and the suite that has it.
type Line struct {
	Version string // "3.11", or "17" where a major version is all that counts
	Suite   string
}

// Choose returns the line that satisfies what is asked for; with several, the
// first in lines, which is the default. A version that names a patch release
// stands for its line: Debian brings the fixes of a line, not its releases.
func Choose(runtime string, lines []Line, asked Asked) (Line, error) {
	if asked.Version == "" {
		return lines[0], nil
	}
	known := make([]string, len(lines))
	for i, l := range lines {
		known[i] = l.Version
		if len(asked.Version) <= 200 && Satisfies(l.Version, asked.Version) {
			return l, nil
		}
	}
	return Line{}, stead.Invalid(asked.From, asked.From+" asks for "+runtime+" "+Plain(asked.Version)+", which is not to be had here",
		"the versions are "+strings.Join(known, ", ")+"; write one of them, or use a Dockerfile for another")
}

var comparator = regexp.MustCompile(`^(>=|<=|~>|~=|===|==|!=|>|<|=|\^|~)?v?([0-9]{1,4})(?:\.([0-9]{1,4}|[xX*]))?(?:\.([0-9A-Za-z*.+-]{1,40}))?(?:-[0-9A-Za-z.]{1,20})?$`)

var (
	operatorSpace = regexp.MustCompile(`(>=|<=|~>|~=|==|!=|>|<|=|\^|~)\s+`)
	hyphenRange   = regexp.MustCompile(`(\S+)\s+-\s+(\S+)`)
)

// Satisfies reports whether a line of releases ("3.11", "17") has one that a
// constraint admits, in the grammars of Composer, RubyGems, PEP 440, Poetry,
// Cargo and npm, as far as they agree: comparators joined by commas or spaces,
// alternatives by "||" or "|". False for what cannot be read.
func Satisfies(line, constraint string) bool {
	for _, alternative := range strings.FieldsFunc(constraint, func(r rune) bool { return r == '|' }) {
		text := hyphenRange.ReplaceAllString(strings.TrimSpace(alternative), ">=$1 <=$2")
		text = operatorSpace.ReplaceAllString(strings.ReplaceAll(text, ",", " "), "$1")
		words := strings.Fields(text)
		ok := len(words) > 0
		for _, w := range words {
			ok = ok && admits(line, w)
		}
		if ok {
			return true
		}
	}
	return false
}

// admits evaluates one comparator on a line, of which any patch release will do.
func admits(line, word string) bool {
	if word == "*" || word == "x" {
		return true
	}
	m := comparator.FindStringSubmatch(word)
	if m == nil {
		return false
	}
	major, minor := split(line)
	wantMajor, _ := strconv.Atoi(m[2])
	wantMinor, err := strconv.Atoi(m[3])
	hasMinor, hasPatch := err == nil, m[4] != ""
	hasMinor = hasMinor && strings.Contains(line, ".") // else only majors count
	order := major - wantMajor
	if order == 0 && hasMinor {
		order = minor - wantMinor
	}
	switch m[1] {
	case ">=":
		return order >= 0
	case ">":
		return order > 0 || order == 0 && hasPatch
	case "<=":
		return order <= 0
	case "<":
		return order < 0 || order == 0 && hasPatch && strings.Trim(m[4], ".0") != ""
	case "!=":
		return order != 0 || hasPatch && !strings.Contains(m[4], "*")
	case "^", "~=", "~>", "~":
		if major != wantMajor {
			return false
		}
		if hasPatch && m[1] != "^" || m[1] == "^" && wantMajor == 0 {
			return order == 0
		}
		return order >= 0
	}
	return order == 0
}

func split(line string) (major, minor int) {
	a, b, _ := strings.Cut(line, ".")
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}
