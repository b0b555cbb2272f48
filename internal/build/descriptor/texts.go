package descriptor

import (
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

func readProcfile(r *reader, data []byte) error {
	procs, err := stead.ParseProcfile(data)
	if err != nil {
		return err
	}
	r.app.Closed = len(procs) > 0
	for _, line := range strings.Split(string(data), "\n") { // in the file's order
		t, _, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")), ":")
		if c, known := procs[t]; ok && known {
			r.process("Procfile", t, t, stead.ProcessWish{Command: c})
		}
	}
	return nil
}

// readAptfile reads the list of packages of Heroku's apt buildpack.
func readAptfile(r *reader, data []byte) error {
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		switch {
		case line == "":
		case strings.HasPrefix(line, ":repo:") || strings.Contains(line, "://"):
			r.refuse("Aptfile", line, "packages come from the platform's own Debian mirror only")
		default:
			for _, name := range strings.Fields(line) {
				r.pkg("Aptfile", name)
			}
		}
	}
	return nil
}

// readDeployment reads Azure's .deployment (Kudu), an INI file.
func readDeployment(r *reader, data []byte) error {
	const file = ".deployment"
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = strings.Trim(line, "[] ")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		if !ok || section != "config" {
			r.refuse(file, line, "only names and values below [config] are read")
			continue
		}
		deploymentKey(r, file, strings.ToLower(key), value)
	}
	return nil
}

func deploymentKey(r *reader, file, key, value string) {
	says := key + " = " + plan.Plain(value)
	windows := strings.Contains(strings.ToLower(value), ".cmd") || strings.Contains(strings.ToLower(value), ".bat") || strings.Contains(strings.ToLower(value), ".ps1")
	switch {
	case key == "command" && windows:
		r.refuse(file, says, "it is a script for Windows; the build goes by what the source is")
	case key == "command":
		r.steps(file, says, &r.app.Wishes.Build.Before, []string{"DEPLOYMENT_SOURCE=. DEPLOYMENT_TARGET=. " + value}, "runs on the source before the build")
	case key == "project" && (value == "." || value == "./"):
		r.say(file, says, "the top of the source is built, as always")
	case key == "project":
		r.refuse(file, says, "the top of the source is built: push that folder with stead push "+plan.Plain(value))
	case key == "scm_do_build_during_deployment":
		r.refuse(file, says, "a push always builds")
	default:
		r.refuse(file, says, "Stead knows nothing of that name here")
	}
}
