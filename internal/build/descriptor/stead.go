package descriptor

import (
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/steadpaas/stead"
)

// readStead reads stead.toml, Stead's own descriptor, which must be right.
func readStead(r *reader, d *doc) {
	readSteadBuild(r, d.table("build"))
	processes := d.table("processes")
	for _, t := range processes.keys() {
		if _, ok := processes.m[t].(map[string]any); !ok {
			r.process(d.file, processes.at+t, t, stead.ProcessWish{Command: processes.command(t)})
			continue
		}
		p := processes.table(t)
		r.process(d.file, "processes."+t, t, stead.ProcessWish{Command: p.command("command"), Quantity: p.quantity("quantity"), Size: p.text("size"),
			Path: p.healthPath("health"), BootLimit: p.seconds("boot_limit"), StopGrace: p.seconds("stop_grace")})
		strict(p)
	}
	config := d.table("config")
	for _, k := range config.keys() {
		r.config(d.file, k, stead.ConfigWish{Value: config.text(k)})
	}
	for _, c := range d.tables("cron") {
		r.schedule(d.file, c.at+"schedule", stead.ScheduleWish{Cron: c.text("schedule"), Zone: c.text("zone"), Command: c.command("command")})
		strict(c)
	}
	for _, t := range d.tables("routes") {
		r.route(d.file, t.at+"path", stead.RouteWish{Host: t.text("host"), Path: t.text("path"), Process: t.text("process")})
		strict(t)
	}
	strict(d)
}

func readSteadBuild(r *reader, b *doc) {
	w := &r.app.Wishes.Build
	r.dockerfile(b.file, b.says("dockerfile"), b.text("dockerfile"), b.text("target"))
	for _, name := range b.table("args").keys() {
		r.pair(b.file, "build argument", &w.Args, name, b.table("args").text(name), "given to the Dockerfile")
	}
	for _, name := range b.table("env").keys() {
		r.pair(b.file, "build variable", &w.Env, name, b.table("env").text(name), "given to build steps")
	}
	for _, name := range b.table("versions").keys() {
		r.version(b.file, name, b.table("versions").text(name))
	}
	for _, name := range b.texts("packages") {
		r.pkg(b.file, name)
	}
	r.steps(b.file, b.at+"before", &w.Before, b.texts("before"), "runs on the source before the build")
	r.steps(b.file, b.at+"after", &w.After, b.texts("after"), "runs in the image after the build")
	strict(b)
}

// strict has unknown names fail the build: the file is for Stead alone.
func strict(d *doc) {
	for _, k := range d.keys() {
		if !d.used[k] {
			d.r.fail(d.file, d.file+" has a name that Stead does not know: "+d.at+k, "see \"stead.toml\" in the developer's guide")
		}
	}
}

func (d *doc) seconds(key string) stead.Seconds {
	s := d.text(key)
	if s == "" {
		return 0
	}
	n := seconds(s)
	if n == 0 {
		d.r.refuse(d.file, d.says(key), "it is not a time of up to an hour, such as 90s or 2m")
	}
	return n
}

var (
	pkgGrammar      = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,99}$`)
	versionGrammar  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_^~<>=*-]{0,49}$`)
	toolGrammar     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	relativeGrammar = regexp.MustCompile(`^(\./)?[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)*$`)
)

func (r *reader) pkg(file, name string) {
	says := "package " + name
	if !pkgGrammar.MatchString(name) || len(r.app.Wishes.Build.Packages) >= maxNames {
		r.refuse(file, says, "no Debian package can be called that, or there are too many")
		return
	}
	if r.first(file, says, says) {
		r.app.Wishes.Build.Packages = append(r.app.Wishes.Build.Packages, name)
		r.say(file, says, "installed from Debian, in build and image")
	}
}

func (r *reader) version(file, tool, version string) {
	if !toolGrammar.MatchString(tool) || !versionGrammar.MatchString(version) {
		r.refuse(file, "version of "+tool, "no version can be called that")
		return
	}
	r.pair(file, "version", &r.app.Wishes.Build.Versions, tool, version, "asks for "+tool+" "+version+", as .tool-versions does")
}

// steps takes the lines of a build step, from the first file that has some.
func (r *reader) steps(file, says string, to *[]string, lines []string, means string) {
	if len(lines) == 0 || !r.first(file, "steps "+means, says) {
		return
	}
	for _, l := range lines {
		if l == "" || len(l) > maxValue || len(*to) >= 50 {
			r.refuse(file, says, "a line is empty or too long, or there are more than 50")
			continue
		}
		*to = append(*to, l)
		r.say(file, says+": "+l, means)
	}
}

// dockerfile notes which Dockerfile builds the app.
func (r *reader) dockerfile(file, says, name, target string) {
	if name == "" && target == "" {
		return
	}
	if name == "" {
		name = "Dockerfile"
	}
	if !relativeGrammar.MatchString(name) || target != "" && !versionGrammar.MatchString(target) {
		r.refuse(file, says, "it is not a file of the source or a stage's name")
		return
	}
	if r.first(file, "dockerfile", says) {
		r.app.Wishes.Build.Dockerfile, r.app.Wishes.Build.Target = name, target
		means := "the image is built by " + name
		if target != "" {
			means += ", its stage " + target
		}
		r.say(file, says, means)
	}
}

func (r *reader) route(file, says string, t stead.RouteWish) {
	if t.Path == "" {
		t.Path = "/"
	}
	switch {
	case stead.CheckPath("path", t.Path) != nil || stead.CheckProcessType("process", t.Process) != nil || len(r.app.Wishes.Routes) >= 100:
		r.refuse(file, says, "it is not a path of a process, or there are more than 100")
	case t.Host != "":
		r.refuse(file, says, "a push claims no host: stead domains add "+t.Host)
	case r.first(file, "route "+t.Path, says):
		r.app.Wishes.Routes = append(r.app.Wishes.Routes, t)
		r.say(file, says, "requests below "+t.Path+" go to "+t.Process+", from the first release on")
	}
}

// schedule notes a task to run at times.
func (r *reader) schedule(file, says string, s stead.ScheduleWish) {
	s.Cron = strings.Join(strings.Fields(s.Cron), " ")
	says += " (" + s.Cron + ")"
	_, zoneErr := time.LoadLocation(s.Zone)
	_, cronErr := cron.ParseStandard(s.Cron)
	switch {
	case cronErr != nil || strings.HasPrefix(s.Cron, "@every") || strings.Contains(s.Cron, "TZ=") || len(s.Cron) > 200:
		r.refuse(file, says, "it is not a schedule of five fields")
	case zoneErr != nil || s.Zone == "Local":
		r.refuse(file, says, "there is no time zone "+s.Zone)
	case s.Command == nil && s.Path != "":
		r.refuse(file, says, "a schedule runs a command: write one that does what "+s.Path+" does")
	case s.Command == nil || len(r.app.Wishes.Schedules) >= 50:
		r.refuse(file, says, "it has no command, or there are more than 50")
	default:
		r.app.Wishes.Schedules = append(r.app.Wishes.Schedules, s)
		r.say(file, says, "runs "+Line(s.Command)+" then; the next push may change it")
	}
}
