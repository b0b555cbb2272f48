package converge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// Port is what an instance must bind whose process gets requests.
const Port = 5000

const taskPrefix = "task-"

// Ident is what a workload's ID says. A change of any part is a new workload,
// and so is rolled out.
type Ident struct {
	App     stead.ID
	Process string
	Release int
	Epoch   int
	Shape   string // hash of size and health
}

// String returns the workload's ID:
// "<app id>.<process>.v<release>.e<epoch>.h<shape>". An underscore in the
// process becomes "U", which no process type has, as IDs have no underscore.
func (i Ident) String() string {
	return string(i.App) + "." + strings.ReplaceAll(i.Process, "_", "U") +
		".v" + strconv.Itoa(i.Release) + ".e" + strconv.Itoa(i.Epoch) + ".h" + i.Shape
}

// ParseIdent is the inverse of Ident.String; it reports whether the ID is one
// of a process of an app of ours.
func ParseIdent(id string) (Ident, bool) {
	f := strings.Split(id, ".")
	if len(f) != 5 || !stead.IsID(f[0]) || f[2] == "" || f[3] == "" || f[4] == "" {
		return Ident{}, false
	}
	v, err1 := strconv.Atoi(f[2][1:])
	e, err2 := strconv.Atoi(f[3][1:])
	i := Ident{App: stead.ID(f[0]), Process: strings.ReplaceAll(f[1], "U", "_"), Release: v, Epoch: e, Shape: f[4][1:]}
	return i, err1 == nil && err2 == nil && i.String() == id
}

// parseTask returns the id of the task that a workload runs.
func parseTask(workload string) (stead.ID, bool) {
	id, ok := strings.CutPrefix(workload, taskPrefix)
	return stead.ID(id), ok && stead.IsID(id)
}

func shape(p stead.Process, routed bool) string {
	form := []any{p.Size, p.Health.Path, p.Health.BootLimit}
	if routed && p.Type != stead.ProcessWeb {
		form = append(form, "port")
	}
	b, _ := json.Marshal(form) // plain values always marshal
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}

// splitName splits an instance's name "web.2"; index 0: it has none.
func splitName(name string) (process string, index int) {
	process, n, _ := strings.Cut(name, ".")
	index, _ = strconv.Atoi(n)
	return process, index
}

// environment is what each process of a release gets.
func environment(app stead.App, r *platform.ReleaseSpec, process string) stead.Config {
	env := stead.Config{}
	maps.Copy(env, r.Config)
	maps.Copy(env, stead.Config{
		"PORT": strconv.Itoa(Port), "STEAD_APP": app.Name, "STEAD_APP_ID": string(app.ID),
		"STEAD_RELEASE": "v" + strconv.Itoa(r.Version), "STEAD_PROCESS": process,
		"STEAD_REGION": app.Region, "STEAD_SPACE": app.Space,
	})
	return env
}

// processOf returns the process's settings, or the default ones.
func processOf(all []stead.Process, t string) stead.Process {
	i := slices.IndexFunc(all, func(p stead.Process) bool { return p.Type == t })
	if i < 0 {
		return stead.DefaultProcess(t)
	}
	return all[i]
}

func quantity(p stead.Process) int {
	if p.Stopped || p.Asleep {
		return 0
	}
	return p.Quantity
}

func sizeOf(sizes []stead.Size, name string) stead.Size {
	if s, err := stead.FindSize(sizes, name); err == nil {
		return s
	}
	s, err := stead.FindSize(sizes, stead.DefaultSize) // the operator withdrew it
	if err != nil {
		s = sizes[0]
	}
	return s
}

// workloads returns what the release wants to run, by process type.
func workloads(in platform.Intent, r *platform.ReleaseSpec, sizes []stead.Size) map[string]engine.Workload {
	out := map[string]engine.Workload{}
	if r == nil {
		return out
	}
	for t, command := range r.Image.Processes {
		if t != stead.ProcessRelease {
			out[t] = workload(in, r, processOf(in.Processes, t), command, sizes)
		}
	}
	return out
}

func workload(in platform.Intent, r *platform.ReleaseSpec, p stead.Process, command stead.Command, sizes []stead.Size) engine.Workload {
	port := p.Type == stead.ProcessWeb || routed(in.Routes, p.Type)
	id := Ident{App: in.App.ID, Process: p.Type, Release: r.Version, Epoch: p.Epoch, Shape: shape(p, port)}
	w := engine.Workload{
		ID: id.String(), App: in.App.ID, AppName: in.App.Name, Process: p.Type, Release: r.Version,
		FirstIndex: 1, Replicas: quantity(p), Image: r.Image.Ref, Command: command,
		Env: environment(in.App, r, p.Type), Size: sizeOf(sizes, p.Size), Health: p.Health,
		StopGrace: p.StopGrace.Duration(), LogStream: logs.AppStream(in.App.ID),
	}
	if port {
		w.Port = Port
	}
	return w
}

// routed reports whether a route sends requests to the process: then it must
// bind a port as web does.
func routed(routes []stead.Route, process string) bool {
	return slices.ContainsFunc(routes, func(r stead.Route) bool {
		return r.Process == process || slices.ContainsFunc(r.Policy.Destinations, func(d stead.Destination) bool { return d.Process == process })
	})
}

func taskWorkload(j platform.TaskJob, sizes []stead.Size) engine.Workload {
	process, index := splitName(j.Task.Name)
	w := engine.Workload{
		ID: taskPrefix + string(j.Task.ID), App: j.App.ID, AppName: j.App.Name, Process: process,
		Release: j.Release.Version, FirstIndex: index, Replicas: 1, Image: j.Release.Image.Ref,
		Command: j.Task.Command, Env: environment(j.App, &j.Release, process), Size: sizeOf(sizes, j.Task.Size),
		StopGrace: stead.DefaultProcess(process).StopGrace.Duration(),
		Task:      true, Hold: j.Task.Attached, LogStream: logs.AppStream(j.App.ID),
	}
	if process == stead.ProcessRelease {
		w.LogStream = logs.ReleaseStream(j.Release.ID)
	}
	maps.Copy(w.Env, j.Task.Env)
	return w
}
