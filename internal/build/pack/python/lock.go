package python

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// maxLock is the largest lock file that is read, in bytes: they are long.
const maxLock = 16 << 20

// lockFile is what a lock file says, in pip's words.
type lockFile struct {
	requirements []string // what the app asks for
	constraints  []string // name==version of all that is locked
	hashes       []string // name==version sha256:… sha256:…
	whole        bool     // a package is a directory of the tree
}

// lockNames are the lock files, by the tools that write them.
var lockNames = []string{"uv.lock", "poetry.lock", "pdm.lock"}

// tomlLock is what uv, Poetry and PDM write, as far as it is the same.
type tomlLock struct {
	Package []lockedPackage `toml:"package"`
}

type lockedPackage struct {
	Name     string         `toml:"name"`
	Version  string         `toml:"version"`
	Marker   any            `toml:"marker"`             // PDM
	Markers  any            `toml:"markers"`            // Poetry 2: a string or a table by group
	Forks    []string       `toml:"resolution-markers"` // uv
	Source   map[string]any `toml:"source"`             // uv, Poetry
	Files    []lockedFile   `toml:"files"`              // Poetry, PDM
	Sdist    lockedFile     `toml:"sdist"`              // uv
	Wheels   []lockedFile   `toml:"wheels"`             // uv
	Git      string         `toml:"git"`                // PDM, with Revision
	Revision string         `toml:"revision"`
	URL      string         `toml:"url"`
	Path     string         `toml:"path"`
}

type lockedFile struct {
	Hash string `toml:"hash"`
}

// readLock reads a lock file of TOML; direct are the app's own requirements.
func readLock(tree fs.FS, name string, direct []string) (*lockFile, error) {
	data, _, err := plan.ReadFileMax(tree, name, maxLock)
	if err != nil {
		return nil, err
	}
	var l tomlLock
	if err := toml.Unmarshal(data, &l); err != nil {
		return nil, &stead.Error{Kind: stead.KindInvalid, Field: name, Msg: name + " cannot be parsed: " + plan.Plain(err.Error()), Hint: "make it anew with the tool that wrote it"}
	}
	out := &lockFile{requirements: direct}
	if len(l.Package) > maxRequirements {
		return nil, stead.Invalid(name, name+" lists more than 2000 packages", "lock only what the app needs")
	}
	several := map[string]int{}
	for _, p := range l.Package {
		several[normal(p.Name)]++
	}
	for _, p := range l.Package {
		if err := out.add(name, p, several[normal(p.Name)] > 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var (
	versionGrammar = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+!_-]{0,60}$`)
	hashGrammar    = regexp.MustCompile(`^sha(256|384|512):[0-9a-f]{64,128}$`)
	gitGrammar     = regexp.MustCompile(`^(https|ssh|git)://[^\s#?'"]{1,300}$`)
	commitGrammar  = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
	dirGrammar     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
	markerGrammar  = regexp.MustCompile(`^[A-Za-z0-9_.,'"<>=!~()*+ -]{1,1000}$`)
)

func (l *lockFile) add(file string, p lockedPackage, several bool) error {
	name := normal(p.Name)
	if name == "" {
		return stead.Invalid(file, file+" has a package without a name", "make it anew with the tool that wrote it")
	}
	text := func(key string) string { s, _ := p.Source[key].(string); return s }
	for _, key := range []string{"virtual", "editable", "directory"} {
		if dir := text(key); dir != "" {
			return l.directory(name, dir)
		}
	}
	kind, at, revision := text("type"), text("git"), ""
	if at == "" {
		at = p.Git
	}
	switch {
	case kind == "directory":
		return l.directory(name, text("url"))
	case p.Path != "":
		return l.directory(name, p.Path)
	case kind == "git":
		at, revision = text("url"), text("resolved_reference")
	case at != "":
		at, revision, _ = strings.Cut(at, "#")
		at, _, _ = strings.Cut(at, "?")
		if p.Revision != "" {
			revision = p.Revision
		}
	}
	if at != "" {
		if !gitGrammar.MatchString(at) || !commitGrammar.MatchString(revision) {
			return stead.Invalid(file, file+" takes "+plan.Plain(name)+" from a repository that cannot be fetched by its commit", "use an https address and a locked commit")
		}
		l.constraints = append(l.constraints, name+" @ git+"+at+"@"+revision)
		return nil
	}
	if !versionGrammar.MatchString(p.Version) {
		return stead.Invalid(file, file+" has no version of "+plan.Plain(name), "make it anew with the tool that wrote it")
	}
	pin := name + "==" + p.Version
	line := pin
	if m := p.marker(); several && m != "" {
		line += " ; " + m
	}
	l.constraints = append(l.constraints, line)
	l.hash(pin, append(append(p.Files, p.Wheels...), p.Sdist))
	return nil
}

// marker is the condition under which this one of several versions is meant.
func (p lockedPackage) marker() string {
	s, _ := p.Markers.(string)
	if m, ok := p.Marker.(string); ok {
		s = m
	}
	if table, ok := p.Markers.(map[string]any); ok {
		s, _ = table["main"].(string)
	}
	if len(p.Forks) > 0 {
		s = "(" + strings.Join(p.Forks, ") or (") + ")"
	}
	if !markerGrammar.MatchString(s) {
		return ""
	}
	return s
}

// directory is a package that is part of the tree. The app itself is not
// installed: it runs from its files.
func (l *lockFile) directory(name, dir string) error {
	if dir == "." || dir == "" {
		return nil
	}
	if !dirGrammar.MatchString(dir) {
		return stead.Invalid("pyproject.toml", plan.Plain(name)+" is taken from "+plan.Plain(dir)+", which is not a directory of the source", "use directories below the one that is pushed")
	}
	l.whole = true
	l.constraints = append(l.constraints, name+" @ file:///src/"+dir)
	return nil
}

func (l *lockFile) hash(pin string, files []lockedFile) {
	var sums []string
	for _, f := range files {
		if hashGrammar.MatchString(f.Hash) && !slices.Contains(sums, f.Hash) {
			sums = append(sums, f.Hash)
		}
	}
	if len(sums) > 0 {
		l.hashes = append(l.hashes, pin+" "+strings.Join(sums, " "))
	}
}

// pipfileLock is what Pipenv writes.
type pipfileLock struct {
	Meta struct {
		Requires struct {
			Version string `json:"python_version"`
			Full    string `json:"python_full_version"`
		} `json:"requires"`
	} `json:"_meta"`
	Default map[string]struct {
		Version string   `json:"version"`
		Hashes  []string `json:"hashes"`
		Markers string   `json:"markers"`
		Extras  []string `json:"extras"`
		Git     string   `json:"git"`
		Ref     string   `json:"ref"`
		Path    string   `json:"path"`
	} `json:"default"`
}

// readPipfileLock reads Pipfile.lock, which says all that is to be installed.
func readPipfileLock(tree fs.FS) (*lockFile, string, error) {
	data, _, err := plan.ReadFileMax(tree, "Pipfile.lock", maxLock)
	if err != nil {
		return nil, "", err
	}
	var p pipfileLock
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, "", stead.Invalid("Pipfile.lock", "Pipfile.lock cannot be parsed: "+plan.Plain(err.Error()), "run \"pipenv lock\" and commit it")
	}
	if len(p.Default) > maxRequirements {
		return nil, "", stead.Invalid("Pipfile.lock", "Pipfile.lock lists more than 2000 packages", "lock only what the app needs")
	}
	out := &lockFile{}
	for _, name := range sortedKeys(p.Default) {
		e := p.Default[name]
		files := make([]lockedFile, len(e.Hashes))
		for i, h := range e.Hashes {
			files[i].Hash = h
		}
		l := lockedPackage{Name: name, Version: strings.TrimPrefix(e.Version, "=="), Files: files, Git: e.Git, Revision: e.Ref, Path: strings.TrimPrefix(e.Path, "./")}
		if err := out.add("Pipfile.lock", l, false); err != nil {
			return nil, "", err
		}
		line := normal(name)
		if extras := strings.Join(e.Extras, ","); extrasGrammar.MatchString(extras) {
			line += "[" + extras + "]"
		}
		if markerGrammar.MatchString(e.Markers) {
			line += " ; " + e.Markers
		}
		if line != "" && e.Path != "." {
			out.requirements = append(out.requirements, line)
		}
	}
	v := p.Meta.Requires.Full
	if v == "" {
		v = p.Meta.Requires.Version
	}
	return out, v, nil
}

var extrasGrammar = regexp.MustCompile(`^[A-Za-z0-9._,-]{1,200}$`)

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
