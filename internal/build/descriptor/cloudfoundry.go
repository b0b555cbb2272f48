package descriptor

import (
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
)

var cfVariable = regexp.MustCompile(`\(\([^)]*\)\)`)

// readManifest reads Cloud Foundry's manifest.yml
// (https://docs.cloudfoundry.org/devguide/deploy-apps/manifest-attributes.html).
func readManifest(r *reader, d *doc) {
	if !d.has("applications") && !d.has("services") {
		r.refuse(d.file, "the file", "it has no applications, so it is not Cloud Foundry's")
		return
	}
	d.people("version")
	apps := d.tables("applications")
	for i, a := range apps {
		if i > 0 {
			r.refuse(d.file, a.at+"name: "+a.text("name"), "a push is of one app, the first; push the others from their own folders")
			continue
		}
		manifestApp(r, a)
	}
	d.refuse("inherit", "a manifest stands for itself")
	manifestServices(r, d)
	d.done()
}

func manifestApp(r *reader, a *doc) {
	a.people("name", "metadata")
	if p := a.text("path"); p != "" && p != "." && p != "./" {
		r.refuse(a.file, a.at+"path: "+p, "the top of the source is built: push that folder with stead push "+p)
	}
	env := a.table("env")
	for _, k := range env.keys() {
		v := env.text(k)
		if cfVariable.MatchString(v) {
			r.refuse(a.file, "variable "+k, "its value comes from a variables file: set it with stead config set")
			continue
		}
		r.config(a.file, k, stead.ConfigWish{Value: v})
	}
	manifestServices(r, a)
	cfProcess(r, a, stead.ProcessWeb)
	for _, p := range a.tables("processes") {
		t := p.text("type")
		cfProcess(r, p, t)
		p.done()
	}
	for _, t := range a.tables("routes") {
		r.refuse(a.file, t.at+"route", "a push claims no host: stead domains add "+t.text("route"))
	}
	if docker := a.table("docker"); docker.has("image") {
		r.refuse(a.file, a.at+"docker.image", "push the image with docker push or stead push --image "+docker.text("image"))
	}
	a.refuseAll(map[string]string{
		"docker": "see above", "buildpack": "the language is told by the source's own files", "buildpacks": "the language is told by the source's own files",
		"stack": "apps run on the platform's own base image", "random-route": "the app has a host of its own", "no-route": "remove it with stead domains remove",
		"default-route": "the app has a host of its own", "host": "the app has a host of its own", "hosts": "the app has a host of its own",
		"domain": "the app has a host of its own", "domains": "stead domains add", "sidecars": "a process of its own does it", "lifecycle": "the source tells",
		"features": "there are none to switch", "cnb-credentials": "there are no buildpacks"})
	a.done()
}

// cfProcess reads what an app and each of its processes may say alike.
func cfProcess(r *reader, p *doc, t string) {
	w := stead.ProcessWish{Command: p.command("command"), Quantity: p.quantity("instances"), BootLimit: p.seconds("timeout")}
	if s := p.text("memory"); s != "" {
		if w.Memory = memory(s, 1<<20); w.Memory == 0 {
			r.refuse(p.file, p.at+"memory: "+s, "it is not an amount of memory")
		}
	}
	kind := p.text("health-check-type")
	path := p.healthPath("health-check-http-endpoint")
	switch {
	case kind == "http" && path == "":
		w.Path = "/"
	case kind == "http" || kind == "" && path != "":
		w.Path = path
	case kind == "process" || kind == "none":
		r.refuse(p.file, p.at+"health-check-type: "+kind, "web must listen on $PORT; other processes are not asked")
	}
	p.refuse("disk_quota", "instances have no disk of their own size")
	p.refuse("disk-quota", "instances have no disk of their own size")
	for _, k := range []string{"log-rate-limit-per-second", "health-check-invocation-timeout", "health-check-interval", "readiness-health-check-type",
		"readiness-health-check-http-endpoint", "readiness-health-check-invocation-timeout", "readiness-health-check-interval"} {
		p.refuse(k, "it cannot be set for one app")
	}
	r.process(p.file, strings.TrimSuffix(p.at, "."), t, w)
}

func manifestServices(r *reader, d *doc) {
	for _, v := range d.list("services") {
		switch v := v.(type) {
		case string:
			r.service(d.file, d.at+"services: "+v, stead.ServiceWish{Offering: v, Name: v})
		case map[string]any:
			if name, _ := v["name"].(string); name != "" {
				r.service(d.file, d.at+"services: "+name, stead.ServiceWish{Offering: name, Name: name})
			}
		}
	}
}

// readStackato reads stackato.yml, the descriptor of Stackato 1 to 3.
func readStackato(r *reader, d *doc) {
	d.people("name", "min_version", "subdomain", "mime-type")
	w := stead.ProcessWish{Command: d.command("command"), Quantity: d.quantity("instances")}
	for _, k := range []string{"mem", "memory"} {
		if s := d.text(k); s != "" {
			w.Memory = memory(s, 1<<20)
		}
	}
	processes := d.table("processes")
	if c := processes.command("web"); c != nil {
		w.Command = c
	}
	r.process(d.file, "the app", stead.ProcessWeb, w)
	for _, t := range processes.keys() {
		if t != stead.ProcessWeb {
			r.process(d.file, "processes."+t, t, stead.ProcessWish{Command: processes.command(t)})
		}
	}
	env := d.table("env")
	for _, k := range env.keys() {
		if _, ok := env.m[k].(map[string]any); ok {
			v := env.table(k)
			r.config(d.file, k, stead.ConfigWish{Value: v.text("default"), Required: v.text("default") == ""})
			continue
		}
		r.config(d.file, k, stead.ConfigWish{Value: env.text(k)})
	}
	services := d.table("services")
	for _, name := range services.keys() {
		offering := name
		if s, ok := services.m[name].(string); ok {
			offering = s
		}
		services.used[name] = true
		r.service(d.file, "services."+name, stead.ServiceWish{Offering: offering, Name: name})
	}
	stackatoRest(r, d)
	d.done()
}

func stackatoRest(r *reader, d *doc) {
	need := d.table("requirements")
	for _, system := range []string{"ubuntu", "debian", "os"} {
		for _, name := range need.texts(system) {
			r.pkg(d.file, name)
		}
	}
	need.refuse("staging", "name the packages below ubuntu")
	need.refuse("running", "name the packages below ubuntu")
	need.done()
	hooks := d.table("hooks")
	r.steps(d.file, "hooks.pre-staging", &r.app.Wishes.Build.Before, hooks.texts("pre-staging"), "runs on the source before the build")
	r.steps(d.file, "hooks.post-staging", &r.app.Wishes.Build.After, hooks.texts("post-staging"), "runs in the image after the build")
	hooks.refuse("pre-running", "put it in front of the command, or use a release phase")
	hooks.refuse("legacy-running", "put it in front of the command")
	hooks.done()
	for _, line := range d.texts("cron") {
		if f := strings.Fields(line); len(f) > 5 {
			r.schedule(d.file, "cron", stead.ScheduleWish{Cron: strings.Join(f[:5], " "), Command: stead.Shell(strings.Join(f[5:], " "))})
		} else {
			r.refuse(d.file, "cron: "+line, "it is not five fields and a command")
		}
	}
	d.refuseAll(map[string]string{"framework": "the language is told by the source's own files", "url": "a push claims no host: stead domains add",
		"urls": "a push claims no host: stead domains add", "ignores": "name the files in .steadignore", "buildpack": "the language is told by the source's own files",
		"drain": "log drains are not set by a push", "disk": "instances have no disk of their own size", "app-dir": "the top of the source is built",
		"sso-enabled": "there is no such thing", "autoscale": "scale with stead scale"})
}
