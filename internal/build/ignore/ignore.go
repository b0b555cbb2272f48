// Package ignore tells which files of a working tree stay at home when it is
// pushed: those that .gitignore and .steadignore name, in any folder of the
// tree, by gitignore's rules (https://git-scm.com/docs/gitignore).
package ignore

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
)

// files are read in each folder; later ones win over earlier ones.
var files = [...]string{".gitignore", ".steadignore"}

// Limits on ignore files, which are hostile input where a server reads them.
const (
	maxFile    = 1 << 20
	maxPattern = 4096 // bytes
)

// Rules are the ignore files of a tree. They are read as folders are entered.
type Rules struct {
	tree fs.FS
	dirs map[string][]rule
}

// rule is one line of an ignore file.
type rule struct {
	match  *regexp.Regexp // of the path below the file's folder, without slashes at the ends
	negate bool
	folder bool // matches folders only
}

// Load returns the rules of a folder on disk.
func Load(dir string) (*Rules, error) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil, stead.Invalid("folder", dir+" is not a folder that can be read", "name the app's folder")
	}
	return New(os.DirFS(dir)), nil
}

// New returns the rules of a tree.
func New(tree fs.FS) *Rules { return &Rules{tree: tree, dirs: map[string][]rule{}} }

// Ignored reports whether the entry stays at home. name is slash-separated and
// relative to the tree; entries below an ignored folder are not asked for. The
// folder .git always stays.
func (r *Rules) Ignored(name string, folder bool) (bool, error) {
	if name == "." {
		return false, nil
	}
	if path.Base(name) == ".git" {
		return true, nil
	}
	ignored := false
	for dir := range parents(name) {
		rules, err := r.of(dir)
		if err != nil {
			return false, err
		}
		below := name
		if dir != "." {
			below = strings.TrimPrefix(name, dir+"/")
		}
		for _, k := range rules {
			if (!k.folder || folder) && k.match.MatchString(below) {
				ignored = !k.negate
			}
		}
	}
	return ignored, nil
}

// parents yields ".", then each folder on the way to name.
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if !yield(".") {
			return
		}
		for i, c := range name {
			if c == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

func (r *Rules) of(dir string) ([]rule, error) {
	if rules, ok := r.dirs[dir]; ok {
		return rules, nil
	}
	var rules []rule
	for _, f := range files {
		more, err := r.read(path.Join(dir, f))
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	r.dirs[dir] = rules
	return rules, nil
}

func (r *Rules) read(name string) ([]rule, error) {
	f, err := r.tree.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, stead.Invalid(name, name+" cannot be read: "+err.Error(), "make it readable, or remove it")
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, nil
	}
	return Parse(io.LimitReader(f, maxFile))
}

// Parse reads an ignore file.
func Parse(r io.Reader) ([]rule, error) {
	var rules []rule
	in := bufio.NewScanner(r)
	in.Buffer(nil, 64<<10)
	for in.Scan() {
		if k, ok := parseLine(in.Text()); ok {
			rules = append(rules, k)
		}
	}
	if err := in.Err(); err != nil {
		return nil, stead.Invalid("ignore", "an ignore file cannot be read: "+err.Error(), "keep its lines short")
	}
	return rules, nil
}

func parseLine(line string) (rule, bool) {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "\ufeff"), "\r")
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	if line == "" || line[0] == '#' || len(line) > maxPattern {
		return rule{}, false
	}
	var k rule
	if line[0] == '!' {
		k.negate, line = true, line[1:]
	} else if strings.HasPrefix(line, `\!`) || strings.HasPrefix(line, `\#`) {
		line = line[1:]
	}
	if strings.HasSuffix(line, "/") {
		k.folder, line = true, strings.TrimRight(line, "/")
	}
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return rule{}, false
	}
	expr := translate(line)
	if !anchored {
		expr = "(?:.*/)?" + expr
	}
	re, err := regexp.Compile("^(?s:" + expr + ")$")
	k.match = re
	return k, err == nil
}

// translate turns a gitignore pattern into a regular expression. RE2 runs in
// linear time, whatever the pattern.
func translate(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); {
		switch {
		case strings.HasPrefix(p[i:], "**/") && (i == 0 || p[i-1] == '/'):
			b.WriteString("(?:.*/)?")
			i += 3
		case p[i:] == "**" && i > 0 && p[i-1] == '/':
			b.WriteString(".+")
			i += 2
		case p[i] == '*':
			b.WriteString("[^/]*")
			for i < len(p) && p[i] == '*' {
				i++
			}
		case p[i] == '?':
			b.WriteString("[^/]")
			i++
		case p[i] == '[':
			class, n := translateClass(p[i:])
			b.WriteString(class)
			i += n
		case p[i] == '\\' && i+1 < len(p):
			b.WriteString(regexp.QuoteMeta(p[i+1 : i+2]))
			i += 2
		default:
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
			i++
		}
	}
	return b.String()
}

// translateClass turns a bracket expression at the start of p into one of a
// regular expression, and returns how much of p it is. An open one is a "[".
func translateClass(p string) (string, int) {
	end := strings.IndexByte(p[min(2, len(p)):], ']')
	if end < 0 {
		return `\[`, 1
	}
	end += 2
	body := p[1:end]
	neg := ""
	if body[0] == '!' || body[0] == '^' {
		neg, body = "^/", body[1:]
	}
	body = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`, `&`, `\&`, `~`, `\~`).Replace(body)
	class := "[" + neg + body + "]"
	if _, err := regexp.Compile(class); err != nil {
		return regexp.QuoteMeta(p[:end+1]), end + 1
	}
	return class, end + 1
}
