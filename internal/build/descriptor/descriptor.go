// Package descriptor reads what a source says of its app in the files of other
// platforms and in Stead's own, and maps all of it to the same words.
//
// Files are read in the order of precedence: stead.toml, Procfile, heroku.yml,
// app.json, manifest.yml, stackato.yml, app.yaml with cron.yaml and
// dispatch.yaml, project.toml, Aptfile, .deployment, and docker-compose.yml if
// there is none of the others. Of each single thing (a process's command, a
// variable, …) the first that says it holds. Nothing is passed over in silence:
// what is not honoured becomes a finding that says why.
//
// The files are hostile: they have limits on size, depth, nodes and aliases.
package descriptor

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// App is what all descriptors of a tree say together.
type App struct {
	Wishes   stead.Wishes
	Findings []stead.Finding
	Closed   bool // it names all processes: the pack's own are not wanted
}

// Settle notes what only shows with the pack's processes: wishes for processes
// that there are not, and steps around a Dockerfile, which has its own.
func (a *App) Settle(procs map[string]stead.Command, dockerfile bool) {
	r := &reader{app: *a}
	for _, t := range slices.Sorted(maps.Keys(a.Wishes.Processes)) {
		if _, ok := procs[t]; !ok {
			r.refuse("the source", "the process "+t, "nothing says what it runs, so there is none")
			delete(a.Wishes.Processes, t)
		}
	}
	b := &a.Wishes.Build
	if dockerfile && len(b.Packages)+len(b.Before)+len(b.After)+len(b.Versions) > 0 {
		r.refuse("the source", "packages, versions, and lines before and after the build", "the Dockerfile says what is in the image")
		b.Packages, b.Before, b.After, b.Versions = nil, nil, nil, nil
	} else if !dockerfile && len(b.Args) > 0 {
		r.refuse("the source", "build arguments", "they are for a Dockerfile, and there is none")
		b.Args = nil
	}
	a.Findings = r.app.Findings
}

// Commands are the processes with their commands.
func (a *App) Commands() map[string]stead.Command {
	out := map[string]stead.Command{}
	for t, p := range a.Wishes.Processes {
		if p.Command != nil || a.Wishes.Build.Dockerfile != "" {
			out[t] = p.Command
		}
	}
	return out
}

// Limits on what a descriptor may ask for.
const (
	maxFile     = 256 << 10 // bytes
	maxFindings = 500
	maxNames    = 200  // variables, args, packages, …; each kind
	maxValue    = 8192 // bytes of one value
)

// kind is one sort of descriptor.
type kind struct {
	file    string
	parse   func(data []byte) (map[string]any, error) // nil: read gets the text
	read    func(r *reader, d *doc)
	text    func(r *reader, data []byte) error
	foreign bool // the name is used for other things, too: what cannot be read is not ours
}

func kinds() []kind {
	return []kind{
		{file: "stead.toml", parse: parseTOML, read: readStead},
		{file: "Procfile", text: readProcfile},
		{file: "heroku.yml", parse: parseYAML, read: readHeroku},
		{file: "app.json", parse: parseJSON, read: readAppJSON, foreign: true},
		{file: "manifest.yml", parse: parseYAML, read: readManifest, foreign: true},
		{file: "stackato.yml", parse: parseYAML, read: readStackato},
		{file: "app.yaml", parse: parseYAML, read: readAppYAML, foreign: true},
		{file: "cron.yaml", parse: parseYAML, read: readCronYAML, foreign: true},
		{file: "dispatch.yaml", parse: parseYAML, read: readDispatch, foreign: true},
		{file: "project.toml", parse: parseTOML, read: readProject, foreign: true},
		{file: "Aptfile", text: readAptfile},
		{file: ".deployment", text: readDeployment},
		{file: "docker-compose.yml", parse: parseYAML, read: readCompose, foreign: true},
		{file: "docker-compose.yaml", parse: parseYAML, read: readCompose, foreign: true},
		{file: "compose.yaml", parse: parseYAML, read: readCompose, foreign: true},
		{file: "compose.yml", parse: parseYAML, read: readCompose, foreign: true},
	}
}

// Read reads the descriptors of a tree.
func Read(tree fs.FS) (*App, error) {
	r := &reader{tree: tree, by: map[string]string{}}
	for _, k := range kinds() {
		data, ok, err := plan.ReadFile(tree, k.file)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := r.file(k, data); err != nil {
			return nil, err
		}
	}
	return &r.app, nil
}

func (r *reader) file(k kind, data []byte) error {
	if len(data) > maxFile {
		return stead.Invalid(k.file, k.file+" is larger than 256 KiB", "check that this is the file you meant to push")
	}
	if k.text != nil {
		return k.text(r, data)
	}
	m, err := k.parse(data)
	if err == nil {
		d := &doc{r: r, file: k.file, m: m, used: map[string]bool{}}
		k.read(r, d)
		return r.err
	}
	msg := k.file + " cannot be read: " + plan.Plain(err.Error())
	if k.foreign {
		r.refuse(k.file, "the file", msg)
		return nil
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: k.file, Msg: msg, Hint: "correct it, or remove it", Err: err}
}

// reader gathers what the files say.
type reader struct {
	tree fs.FS
	app  App
	by   map[string]string // what was said → the file that said it first
	err  error             // in a file of our own, which must be right
}

func (r *reader) say(file, says, means string) { r.find(file, says, means, true) }

// refuse notes what is not honoured.
func (r *reader) refuse(file, says, why string) { r.find(file, says, why, false) }

func (r *reader) find(file, says, means string, honoured bool) {
	if len(r.app.Findings) < maxFindings {
		r.app.Findings = append(r.app.Findings, stead.Finding{File: file, Says: plan.Plain(says), Means: plan.Plain(means), Honoured: honoured})
	}
}

// fail refuses the source, for a mistake in stead.toml.
func (r *reader) fail(field, msg, hint string) {
	if r.err == nil {
		r.err = stead.Invalid(field, msg, hint)
	}
}

// first reports whether file is the first that says what; else it notes that.
func (r *reader) first(file, what, says string) bool {
	if by, ok := r.by[what]; ok && (by != file || !strings.HasPrefix(what, "process ")) {
		if by != file {
			r.refuse(file, says, by+" says so first")
		} else {
			r.refuse(file, says, "said above already")
		}
		return false
	}
	r.by[what] = file
	return true
}

// any reports whether a descriptor that is not for the machine of its author
// was found: compose files are only looked at without one.
func (r *reader) any() bool { return len(r.app.Findings) > 0 }

// process merges a wish for a process.
func (r *reader) process(file, says, t string, p stead.ProcessWish) {
	t = strings.ToLower(t)
	if stead.CheckProcessType("process", t) != nil || t == stead.ProcessRun {
		r.refuse(file, says, "no process can be called "+t)
		return
	}
	if r.app.Wishes.Processes == nil {
		r.app.Wishes.Processes = map[string]stead.ProcessWish{}
	}
	if len(r.app.Wishes.Processes) >= 50 {
		r.refuse(file, says, "more than 50 processes")
		return
	}
	have := r.app.Wishes.Processes[t]
	take(r, file, says, t, "command", &have.Command, p.Command, p.Command != nil, "runs "+Line(p.Command))
	if q := p.Quantity; q != nil {
		take(r, file, says, t, "quantity", &have.Quantity, q, true, fmt.Sprintf("%d instances at first", *q))
	}
	take(r, file, says, t, "size", &have.Size, p.Size, p.Size != "", "size "+p.Size+" at first")
	take(r, file, says, t, "memory", &have.Memory, p.Memory, p.Memory > 0, fmt.Sprintf("the smallest size with %d MiB at first", p.Memory>>20))
	take(r, file, says, t, "health path", &have.Path, p.Path, p.Path != "", "is healthy when "+p.Path+" answers")
	take(r, file, says, t, "boot limit", &have.BootLimit, p.BootLimit, p.BootLimit > 0, fmt.Sprintf("has %d s to become healthy", p.BootLimit))
	take(r, file, says, t, "stop grace", &have.StopGrace, p.StopGrace, p.StopGrace > 0, fmt.Sprintf("has %d s to end", p.StopGrace))
	r.app.Wishes.Processes[t] = have
}

// take sets one field of a process, if this file is the first to say it.
func take[T any](r *reader, file, says, t, field string, to *T, v T, set bool, means string) {
	if !set || !r.first(file, "process "+t+" "+field, says) {
		return
	}
	*to = v
	who := "the process " + t + " "
	if t == stead.ProcessRelease {
		who = "the release phase "
	}
	r.say(file, says, who+means)
}

// Line is a command as a line for people.
func Line(c stead.Command) string {
	if len(c) == 3 && c[0] == "/bin/sh" {
		return c[2]
	}
	return strings.Join(c, " ")
}

// config notes a default of a variable; its value is not shown.
func (r *reader) config(file, key string, c stead.ConfigWish) {
	says := "variable " + key
	switch {
	case stead.CheckConfigKey(key) != nil:
		r.refuse(file, says, "no variable can be called that")
	case len(c.Value) > maxValue || len(r.app.Wishes.Config) >= maxNames:
		r.refuse(file, says, "too long, or too many: at most 200 of 8 KiB")
	case r.first(file, "config "+key, says):
		if r.app.Wishes.Config == nil {
			r.app.Wishes.Config = map[string]stead.ConfigWish{}
		}
		r.app.Wishes.Config[key] = c
		switch {
		case c.Generate:
			r.say(file, says, "a random secret, unless it is set")
		case c.Value == "" && c.Required:
			r.refuse(file, says, "has no default: set it with stead config set "+key+"=…")
		default:
			r.say(file, says, "the default, unless it is set")
		}
	}
}

// pair adds to one of the build's maps of names and values.
func (r *reader) pair(file, what string, m *map[string]string, key, value, means string) {
	says := what + " " + key
	if len(*m) >= maxNames || len(value) > maxValue || stead.CheckConfigKey(key) != nil && what != "version" {
		r.refuse(file, says, "it cannot be called that, is too long, or there are too many")
		return
	}
	if !r.first(file, says, says) {
		return
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
	r.say(file, says, means)
}

// service notes a wanted service.
func (r *reader) service(file, says string, s stead.ServiceWish) {
	for _, have := range r.app.Wishes.Services {
		if have.Offering == s.Offering && have.Name == s.Name {
			return
		}
	}
	if len(r.app.Wishes.Services) >= 50 {
		r.refuse(file, says, "more than 50 services")
		return
	}
	r.app.Wishes.Services = append(r.app.Wishes.Services, s)
	r.refuse(file, says, "a wanted service: nothing is created by a push; bind one, or set its variables with stead config set")
}
