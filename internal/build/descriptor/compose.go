package descriptor

import (
	"regexp"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

// readProject reads project.toml of Cloud Native Buildpacks
// (https://github.com/buildpacks/spec/blob/main/extensions/project-descriptor.md).
func readProject(r *reader, d *doc) {
	d.people("_", "project")
	io := d.table("io").table("buildpacks")
	for _, b := range []*doc{d.table("build"), io, io.table("build")} {
		for _, e := range b.tables("env") {
			r.pair(d.file, "build variable", &r.app.Wishes.Build.Env, e.text("name"), e.text("value"), "given to build steps")
			e.done()
		}
	}
	for _, b := range []*doc{d.table("build"), io} {
		b.used["env"], b.used["build"] = true, true
		b.refuse("exclude", "name the files in .steadignore")
		b.refuse("include", "name the others in .steadignore")
		b.refuse("builder", "Stead builds with its own packs")
		b.refuse("group", "buildpacks are not supported; the language is told by the source's own files")
		b.refuse("buildpacks", "buildpacks are not supported; the language is told by the source's own files")
		b.refuse("pre", "buildpacks are not supported")
		b.refuse("post", "buildpacks are not supported")
		b.done()
	}
	d.refuse("metadata", "for people; it changes nothing")
	d.done()
}

// readCompose reads the part of a compose file that has a meaning here: the
// services that are built from this source become processes, the others are
// wanted services. It is written for its author's machine, so it is looked at
// only if no other descriptor says anything.
func readCompose(r *reader, d *doc) {
	if !d.has("services") {
		r.refuse(d.file, "the file", "it has no services, so it is not a compose file")
		return
	}
	if r.any() {
		r.refuse(d.file, "the file", "it is looked at only if no other descriptor says anything")
		return
	}
	d.people("version", "name")
	for _, k := range d.keys() {
		if strings.HasPrefix(k, "x-") {
			d.people(k)
		}
	}
	services := d.table("services")
	var built []*doc
	for _, name := range services.keys() {
		s := services.table(name)
		if s.has("build") {
			built = append(built, s)
			continue
		}
		composeService(r, s, name)
	}
	web := composeWeb(built)
	image := ""
	r.app.Closed = len(built) > 0
	for _, s := range built {
		composeProcess(r, s, web, &image)
	}
	for _, k := range []string{"volumes", "networks", "configs", "secrets"} {
		d.refuse(k, "instances keep no files and have a network of their own")
	}
	d.done()
}

// composeWeb tells which of the services gets the app's requests: web, or the
// first that publishes a port.
func composeWeb(built []*doc) *doc {
	for _, s := range built {
		if strings.HasSuffix(s.at, "services.web.") {
			return s
		}
	}
	for _, s := range built {
		if s.has("ports") {
			return s
		}
	}
	if len(built) > 0 {
		return built[0]
	}
	return nil
}

func composeService(r *reader, s *doc, name string) {
	image := s.text("image")
	offering := image[strings.LastIndexByte(image, '/')+1:]
	offering, plan, _ := strings.Cut(offering, ":")
	r.service(s.file, s.at+"image: "+image, stead.ServiceWish{Offering: offering, Plan: plan, Name: name})
	for _, k := range s.keys() {
		s.refuse(k, "it belongs to a service, which the platform runs in its own way")
	}
}

func composeProcess(r *reader, s *doc, web *doc, image *string) {
	name := strings.TrimSuffix(strings.TrimPrefix(s.at, "services."), ".")
	t := name
	if s == web {
		t = stead.ProcessWeb
	}
	file, target := composeBuild(r, s)
	if key := file + " " + target; *image == "" || *image == key {
		if *image == "" {
			r.dockerfile(s.file, s.at+"build", file, target)
		}
		*image = key
	} else {
		r.refuse(s.file, s.at+"build", "an app has one image; this service is not run")
		return
	}
	w := stead.ProcessWish{Command: composeCommand(s), StopGrace: s.seconds("stop_grace_period")}
	deploy := s.table("deploy")
	w.Quantity = deploy.quantity("replicas")
	limits := deploy.table("resources").table("limits")
	w.Memory = memory(limits.text("memory"), 1)
	if w.Memory == 0 {
		w.Memory = memory(s.text("mem_limit"), 1)
	}
	w.Path = composeHealth(r, s)
	if w.Quantity == nil {
		w.Quantity = new(1) // of each service, as compose does
	}
	r.process(s.file, strings.TrimSuffix(s.at, "."), t, w)
	s.refuse("environment", "it is for its author's machine: set what you need with stead config set")
	s.refuseAll(map[string]string{"ports": "the app listens on $PORT", "expose": "the app listens on $PORT", "depends_on": "processes start independently",
		"restart": "an instance that ends is started again", "volumes": "instances keep no files", "env_file": "set variables with stead config set", "image": "the image's name is the platform's",
		"container_name": "instances are named by the platform", "networks": "apps have a network of their own", "deploy": "only replicas and the memory limit are read",
		"healthcheck": "only a request to localhost is understood", "labels": "they mean nothing here", "profiles": "there is one profile", "develop": "a push deploys",
		"working_dir": "set it in the Dockerfile", "user": "set it in the Dockerfile", "init": "instances have one", "tty": "see stead run", "stdin_open": "see stead run"})
	s.done()
}

func composeBuild(r *reader, s *doc) (file, target string) {
	file = "Dockerfile"
	context := "."
	if v, ok := s.m["build"].(string); ok {
		context = v
		s.used["build"] = true
	} else {
		b := s.table("build")
		if v := b.text("context"); v != "" {
			context = v
		}
		if v := b.text("dockerfile"); v != "" {
			file = v
		}
		target = b.text("target")
		for _, kv := range pairs(b, "args") {
			r.pair(s.file, "build argument", &r.app.Wishes.Build.Args, kv[0], kv[1], "given to the Dockerfile")
		}
		b.done()
	}
	if c := strings.Trim(strings.TrimPrefix(context, "./"), "/"); c != "" && c != "." {
		r.refuse(s.file, s.at+"build: "+context, "the top of the source is the context; its Dockerfile is used from there")
		file = c + "/" + file
	}
	return file, target
}

// composeCommand joins entrypoint and command.
func composeCommand(s *doc) stead.Command {
	c, e := s.command("command"), s.command("entrypoint")
	if len(e) == 0 {
		return c
	}
	if len(c) == 3 && c[0] == "/bin/sh" && e[0] != "/bin/sh" {
		return slices.Concat(e, strings.Fields(c[2]))
	}
	return slices.Concat(e, c)
}

var composeCheck = regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?(/[A-Za-z0-9/_.-]*)?`)

func composeHealth(r *reader, s *doc) string {
	h := s.table("healthcheck")
	text := ""
	for _, v := range h.list("test") {
		if part, ok := v.(string); ok {
			text += part + " "
		}
	}
	m := composeCheck.FindStringSubmatch(text)
	for _, k := range h.keys() {
		h.refuse(k, "an instance is asked for its path until it answers, within its boot limit")
	}
	if m == nil {
		return ""
	}
	if m[1] == "" || stead.CheckPath("path", m[1]) != nil {
		return "/"
	}
	return m[1]
}

// pairs takes a table, or a list of NAME=value.
func pairs(d *doc, key string) (out [][2]string) {
	if _, ok := d.m[key].([]any); ok {
		for _, line := range d.texts(key) {
			k, v, _ := strings.Cut(line, "=")
			out = append(out, [2]string{k, v})
		}
		return out
	}
	t := d.table(key)
	for _, k := range t.keys() {
		out = append(out, [2]string{k, t.text(k)})
	}
	return out
}
