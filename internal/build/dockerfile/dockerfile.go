// Package dockerfile hands trees with a Dockerfile to the build daemon's own
// Dockerfile frontend.
package dockerfile

import (
	"cmp"
	"io/fs"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "dockerfile". The zero Pack builds the last stage of the
// file Dockerfile.
type Pack struct{ File, Target string }

// Name implements plan.Pack.
func (Pack) Name() string { return "dockerfile" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"Dockerfile"} }

var (
	exposeLine = regexp.MustCompile(`(?i)^\s*EXPOSE\s+(.+)$`)
	portWord   = regexp.MustCompile(`^[0-9]{1,5}(/(tcp|udp))?$`)
	fromLine   = regexp.MustCompile(`(?i)^\s*FROM\s+\S`)
	syntaxLine = regexp.MustCompile(`(?i)^#\s*syntax\s*=\s*(\S+)`)
)

// Detect implements plan.Pack.
func (p Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	name := cmp.Or(p.File, "Dockerfile")
	data, ok, err := plan.ReadFile(tree, name)
	if err != nil || !ok {
		return nil, err
	}
	d := &plan.Detected{Pack: "dockerfile", Summary: name, Processes: map[string]stead.Command{"web": nil}, Frontend: plan.FrontendDockerfile}
	d.FrontendOpts = map[string]string{
		"filename": name,
		// The frontend is the daemon's own. With cmdline set, it does not fetch
		// the one that a "# syntax=" line names.
		"cmdline":                     plan.FrontendDockerfile,
		"build-arg:SOURCE_DATE_EPOCH": plan.Epoch,
	}
	if p.Target != "" {
		d.FrontendOpts["target"] = p.Target
		d.Summary += ", stage " + p.Target
	}
	from := false
	for i, line := range strings.Split(string(data), "\n") {
		from = from || fromLine.MatchString(line)
		if m := syntaxLine.FindStringSubmatch(line); m != nil && i < 10 {
			d.Notes = append(d.Notes, "the line # syntax="+plan.Plain(m[1])+" is not used: Stead builds with its own Dockerfile frontend")
		}
		if m := exposeLine.FindStringSubmatch(line); m != nil {
			d.Notes = append(d.Notes, exposed(m[1]))
		}
	}
	if !from {
		return nil, stead.Invalid("Dockerfile", "the Dockerfile has no FROM line", "start it with FROM and a base image")
	}
	if len(d.Notes) > maxNotes {
		d.Notes = d.Notes[:maxNotes]
	}
	return d, nil
}

const maxNotes = 5

func exposed(ports string) string {
	for _, p := range strings.Fields(ports) {
		if !portWord.MatchString(p) {
			return "EXPOSE " + plan.Plain(ports) + " is not used: the app must listen on $PORT"
		}
	}
	return "EXPOSE " + plan.Plain(strings.TrimSpace(ports)) + " is not used: the app must listen on $PORT, which Stead sets"
}
