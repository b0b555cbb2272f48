package descriptor

import (
	"strings"

	"github.com/steadpaas/stead"
)

// readHeroku reads heroku.yml
// (https://devcenter.heroku.com/articles/build-docker-images-heroku-yml).
func readHeroku(r *reader, d *doc) {
	setup := d.table("setup")
	herokuAddons(r, setup, "addons")
	config := setup.table("config")
	for _, k := range config.keys() {
		r.config(d.file, k, stead.ConfigWish{Value: config.text(k)})
	}
	setup.done()
	image := herokuBuild(r, d.table("build"))
	release := d.table("release")
	if c := release.command("command"); c != nil {
		otherImage(release, image)
		r.process(d.file, "release.command", stead.ProcessRelease, stead.ProcessWish{Command: joined(c)})
	}
	release.done()
	run := d.table("run")
	r.app.Closed = r.app.Closed || len(run.m) > 0
	for _, t := range run.keys() {
		if _, ok := run.m[t].(map[string]any); !ok {
			r.process(d.file, "run."+t, t, stead.ProcessWish{Command: run.command(t)})
			continue
		}
		p := run.table(t)
		c := joined(p.command("command"))
		otherImage(p, image)
		r.process(d.file, "run."+t, t, stead.ProcessWish{Command: c})
		p.done()
	}
	d.done()
}

// herokuBuild returns the process whose Dockerfile builds the image.
func herokuBuild(r *reader, b *doc) (image string) {
	docker := b.table("docker")
	files := map[string]string{}
	for _, t := range docker.keys() {
		files[t] = docker.text(t)
		if image == "" || t == stead.ProcessWeb {
			image = t
		}
	}
	if image != "" {
		r.dockerfile(b.file, "build.docker."+image, files[image], "")
	}
	for _, t := range docker.keys() {
		switch {
		case t == image:
		case files[t] == files[image]:
			r.process(b.file, "build.docker."+t, t, stead.ProcessWish{})
		default:
			r.refuse(b.file, "build.docker."+t+": "+files[t], "an app has one image: all processes run the one of "+image)
		}
	}
	config := b.table("config")
	for _, k := range config.keys() {
		r.pair(b.file, "build argument", &r.app.Wishes.Build.Args, k, config.text(k), "given to the Dockerfile")
	}
	for _, name := range b.texts("packages") {
		r.pkg(b.file, name)
	}
	b.refuse("languages", "the language is told by the source's own files")
	b.refuse("buildpacks", "buildpacks are not supported; the language is told by the source's own files")
	b.done()
	return image
}

// otherImage tells of a process that should run another image.
func otherImage(d *doc, image string) {
	if v := d.text("image"); v != "" && v != image {
		d.r.refuse(d.file, d.at+"image: "+v, "an app has one image: all processes run the one of "+image)
	}
}

// joined makes heroku.yml's list of commands one line for the shell.
func joined(c stead.Command) stead.Command {
	if len(c) == 0 || c[0] == "/bin/sh" {
		return c
	}
	return stead.Shell(strings.Join(c, " && "))
}

// readAppJSON reads app.json
// (https://devcenter.heroku.com/articles/app-json-schema), with what Dokku adds.
func readAppJSON(r *reader, d *doc) {
	d.people("name", "description", "keywords", "website", "repository", "logo", "success_url", "$schema")
	env := d.table("env")
	for _, k := range env.keys() {
		appJSONVariable(r, env, k)
	}
	formation := d.table("formation")
	for _, t := range formation.keys() {
		p := formation.table(t)
		r.process(d.file, "formation."+t, t, stead.ProcessWish{Quantity: p.quantity("quantity"), Size: herokuSize(p)})
		p.done()
	}
	herokuAddons(r, d, "addons")
	scripts := d.table("scripts")
	dokku := scripts.table("dokku")
	r.steps(d.file, "scripts.dokku.predeploy", &r.app.Wishes.Build.After, dokku.texts("predeploy"), "runs in the image after the build")
	dokku.done()
	scripts.refuse("postdeploy", "it runs once, by hand: stead run -- and that command, after the first push")
	scripts.refuse("pr-predestroy", "there are no review apps")
	scripts.refuse("test", "a push runs no tests")
	scripts.refuse("test-setup", "a push runs no tests")
	scripts.done()
	dokkuKeys(r, d)
	if s := d.text("stack"); s == "container" {
		r.say(d.file, "stack: container", "the image is built by a Dockerfile, as heroku.yml or the source says")
	} else if s != "" {
		r.refuse(d.file, "stack: "+s, "apps run on the platform's own base image")
	}
	d.refuse("buildpacks", "buildpacks are not supported; the language is told by the source's own files")
	d.refuse("environments", "there are no review apps and no test runs")
	d.refuse("image", "it is deprecated; use a Dockerfile")
	d.done()
}

func appJSONVariable(r *reader, env *doc, k string) {
	if _, ok := env.m[k].(map[string]any); !ok {
		r.config(env.file, k, stead.ConfigWish{Value: env.text(k)})
		return
	}
	v := env.table(k)
	w := stead.ConfigWish{Value: v.text("value"), Generate: v.text("generator") == "secret"}
	w.Required = v.text("required") != "false" && w.Value == "" && !w.Generate
	_ = v.text("description")
	if w.Value == "" && !w.Generate && !w.Required {
		r.say(env.file, "variable "+k, "may be set; there is no default")
	} else {
		r.config(env.file, k, w)
	}
	v.done()
}

// herokuSize reads a dyno's size; Stead has the common names itself.
func herokuSize(p *doc) string {
	s := strings.ToLower(p.text("size"))
	switch s {
	case "", "free", "hobby", "eco":
		return ""
	}
	for _, known := range stead.Sizes() {
		if known.Name == s {
			return s
		}
	}
	p.r.refuse(p.file, p.at+"size: "+s, "there is no such size; see stead scale")
	return ""
}

func herokuAddons(r *reader, d *doc, key string) {
	for _, v := range d.list(key) {
		name, as := "", ""
		switch v := v.(type) {
		case string:
			name = v
		case map[string]any:
			name, _ = v["plan"].(string)
			as, _ = v["as"].(string)
		}
		offering, size, _ := strings.Cut(name, ":")
		if offering == "" {
			r.refuse(d.file, d.at+key, "an add-on has no plan")
			continue
		}
		r.service(d.file, d.at+key+": "+name, stead.ServiceWish{Offering: strings.TrimPrefix(offering, "heroku-"), Plan: size, Name: as})
	}
}

// dokkuKeys reads cron and healthchecks
// (https://dokku.com/docs/appendices/file-formats/app-json/).
func dokkuKeys(r *reader, d *doc) {
	for _, c := range d.tables("cron") {
		r.schedule(d.file, c.at+"schedule", stead.ScheduleWish{Cron: c.text("schedule"), Command: c.command("command")})
		c.done()
	}
	checks := d.table("healthchecks")
	for _, t := range checks.keys() {
		for _, h := range checks.tables(t) {
			h.people("type", "name", "description")
			if p := h.healthPath("path"); p != "" {
				r.process(d.file, h.at+"path", t, stead.ProcessWish{Path: p})
			}
			for _, k := range h.keys() {
				h.refuse(k, "an instance is asked for its path until it answers, within its boot limit")
			}
		}
	}
}
