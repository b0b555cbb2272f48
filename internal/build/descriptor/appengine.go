package descriptor

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// classes are App Engine's instance classes and their memory
// (https://cloud.google.com/appengine/docs/standard#instance_classes), in MiB.
func classes() map[string]int64 {
	return map[string]int64{"F1": 384, "F2": 768, "F4": 1536, "F4_1G": 3072, "F4_HIGHMEM": 3072, "B1": 384, "B2": 768, "B4": 1536, "B4_1G": 3072, "B4_HIGHMEM": 3072, "B8": 3072}
}

// readAppYAML reads App Engine's app.yaml
// (https://cloud.google.com/appengine/docs/standard/reference/app-yaml).
func readAppYAML(r *reader, d *doc) {
	if !d.has("runtime") && !d.has("env") {
		r.refuse(d.file, "the file", "it names no runtime, so it is not App Engine's")
		return
	}
	t := serviceProcess(d.text("service"))
	if d.has("service") {
		r.say(d.file, d.says("service"), "its process is "+t)
	}
	w := stead.ProcessWish{Command: d.command("entrypoint")}
	if c := d.text("instance_class"); c != "" {
		if w.Memory = classes()[strings.ToUpper(c)] << 20; w.Memory == 0 {
			r.refuse(d.file, "instance_class: "+c, "it is not a known class")
		}
	}
	appEngineScaling(r, d, &w)
	ready := d.table("readiness_check")
	w.Path, w.BootLimit = ready.healthPath("path"), ready.seconds("app_start_timeout_sec")
	for _, k := range ready.keys() {
		ready.refuse(k, "an instance is asked for its path until it answers, within its boot limit")
	}
	if resources := d.table("resources"); resources.has("memory_gb") {
		w.Memory = memory(resources.text("memory_gb"), 1<<30)
	}
	r.process(d.file, "the service", t, w)
	vars, build := d.table("env_variables"), d.table("build_env_variables")
	for _, k := range vars.keys() {
		r.config(d.file, k, stead.ConfigWish{Value: vars.text(k)})
	}
	for _, k := range build.keys() {
		r.pair(d.file, "build variable", &r.app.Wishes.Build.Env, k, build.text(k), "given to build steps")
	}
	appEngineRest(r, d)
	d.done()
}

func appEngineScaling(r *reader, d *doc, w *stead.ProcessWish) {
	manual, automatic, basic := d.table("manual_scaling"), d.table("automatic_scaling"), d.table("basic_scaling")
	w.Quantity = manual.quantity("instances")
	if q := automatic.quantity("min_instances"); q != nil && *q > 0 {
		w.Quantity = q
	} else if q := automatic.quantity("min_num_instances"); q != nil && *q > 0 {
		w.Quantity = q
	}
	for _, s := range []*doc{automatic, basic} {
		for _, k := range s.keys() {
			s.refuse(k, "instances are not added and removed by load: stead scale")
		}
	}
	manual.done()
}

func appEngineRest(r *reader, d *doc) {
	if v := d.text("runtime"); v != "" {
		if v == "custom" {
			r.dockerfile(d.file, "runtime: custom", "Dockerfile", "")
		} else {
			r.refuse(d.file, "runtime: "+v, "language and version are told by the source's own files, such as .tool-versions")
		}
	}
	for _, h := range d.tables("handlers") {
		says := h.at + "url: " + h.text("url")
		switch {
		case h.has("static_dir") || h.has("static_files"):
			r.refuse(d.file, says, "the app itself serves its static files")
		case h.text("script") == "auto" || h.text("script") == "":
			r.say(d.file, says, "all requests go to the app")
		default:
			r.refuse(d.file, says, "all requests go to the app's one process, not to a script each")
		}
		if h.text("secure") == "always" {
			r.refuse(d.file, h.at+"secure: always", "the app redirects by X-Forwarded-Proto")
		}
		if v := h.text("login"); v != "" {
			r.refuse(d.file, h.at+"login: "+v, "the app checks who asks")
		}
	}
	d.refuseAll(map[string]string{"threadsafe": "an instance gets requests in parallel", "api_version": "there is none", "application": "the app is told by the push",
		"version": "releases are numbered", "inbound_services": "there are none", "network": "apps have a network of their own", "vpc_access_connector": "apps have a network of their own",
		"beta_settings": "bind a service, or set its variables", "error_handlers": "the router has its own pages", "default_expiration": "the app sets its own headers",
		"includes": "one file describes the app", "libraries": "list them in requirements.txt", "skip_files": "name the files in .steadignore", "nobuild_files": "name the files in .steadignore",
		"liveness_check": "an instance that ends is started again", "health_check": "use readiness_check", "service_account": "there are none", "app_engine_apis": "there are none",
		"resources": "see stead scale for sizes", "env": "there is one environment", "runtime_config": "versions are told by the source's own files",
		"main": "the main package is told by the source", "entrypoint": "see above", "builtins": "there are none"})
}

// serviceProcess names the process of a service.
func serviceProcess(service string) string {
	if service == "" || service == "default" {
		return stead.ProcessWeb
	}
	return strings.ToLower(service)
}

// readCronYAML reads App Engine's cron.yaml
// (https://cloud.google.com/appengine/docs/standard/scheduling-jobs-with-cron-yaml).
func readCronYAML(r *reader, d *doc) {
	if !d.has("cron") {
		r.refuse(d.file, "the file", "it has no cron, so it is not App Engine's")
		return
	}
	for _, c := range d.tables("cron") {
		schedule := c.text("schedule")
		says := c.at + "schedule: " + schedule
		cron := cronOf(schedule)
		if cron == "" {
			r.refuse(d.file, says, "it cannot be said in the five fields of cron")
		} else if p := c.text("url"); stead.CheckPath("url", p) != nil {
			r.refuse(d.file, says, "its url is not a path")
		} else {
			r.schedule(d.file, says, stead.ScheduleWish{Cron: cron, Zone: c.text("timezone"), Path: p})
		}
		c.people("description")
		c.refuse("target", "it asks the app's own host")
		c.refuse("retry_parameters", "a task is not tried again")
		_, _ = c.text("timezone"), c.text("url")
		c.done()
	}
	d.done()
}

var (
	everyN   = regexp.MustCompile(`^every ([0-9]{1,2}) (minutes|mins|hours)( synchronized)?$`)
	everyDay = regexp.MustCompile(`^every (day|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)(?: ([0-2]?[0-9]):([0-5][0-9]))?$`)
)

// cronOf translates a schedule in English; "" if cron cannot say it.
func cronOf(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	if m := everyN.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		switch {
		case err != nil || n == 0:
			return ""
		case m[2] == "hours" && n == 24:
			return "0 0 * * *"
		case m[2] == "hours" && 24%n == 0:
			return "0 */" + m[1] + " * * *"
		case m[2] != "hours" && n < 60 && 60%n == 0:
			return "*/" + m[1] + " * * * *"
		}
		return ""
	}
	m := everyDay.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	hour, minute, day := "0", "0", "*"
	if m[2] != "" {
		h, herr := strconv.Atoi(m[2])
		min, merr := strconv.Atoi(m[3])
		if herr != nil || merr != nil || h > 23 {
			return ""
		}
		hour, minute = strconv.Itoa(h), strconv.Itoa(min)
	}
	if m[1] != "day" {
		day = m[1][:3]
	}
	return minute + " " + hour + " * * " + day
}

// readDispatch reads App Engine's dispatch.yaml.
func readDispatch(r *reader, d *doc) {
	if !d.has("dispatch") {
		r.refuse(d.file, "the file", "it has no dispatch, so it is not App Engine's")
		return
	}
	for _, t := range d.tables("dispatch") {
		at, process := t.text("url"), serviceProcess(t.text("service"))
		host, path, _ := strings.Cut(at, "/")
		host = strings.Trim(host, "*.")
		path = "/" + strings.Trim(strings.TrimSuffix(path, "*"), "/")
		if strings.Contains(path, "*") {
			r.refuse(d.file, t.at+"url: "+at, "a route is a plain path with all below it")
		} else {
			r.route(d.file, t.at+"url: "+at, stead.RouteWish{Host: host, Path: path, Process: process})
		}
		t.done()
	}
	d.done()
}
