package heroku

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

func dynoRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/dynos", Title: "dyno: list", do: (*call).dynos},
		{Method: "POST", Path: "/apps/{app}/dynos", Title: "dyno: create", do: (*call).runDyno},
		{Method: "DELETE", Path: "/apps/{app}/dynos", Title: "dyno: restart all", do: (*call).restartAll},
		{Method: "GET", Path: "/apps/{app}/dynos/{dyno}", Title: "dyno: info", do: (*call).dyno},
		{Method: "DELETE", Path: "/apps/{app}/dynos/{dyno}", Title: "dyno: restart", do: (*call).restartDyno},
		{Method: "POST", Path: "/apps/{app}/dynos/{dyno}/actions/stop", Title: "dyno: stop", do: (*call).stopDyno},
		{Method: "POST", Path: "/apps/{app}/dynos/{dyno}", Title: "dyno: run inside", do: (*call).runInside, extra: true},
	}
}

// dynoState is the state in Heroku's words.
func dynoState(s stead.InstanceState) string {
	switch s {
	case stead.InstanceStopping:
		return "down"
	case stead.InstanceExited:
		return "complete"
	}
	return string(s)
}

func (c *call) showDyno(a stead.App, commands map[string]stead.Command) func(stead.Instance) object {
	return func(i stead.Instance) object {
		return object{"id": idOf("dyno", string(a.ID), i.Ref), "app": object{"id": a.ID, "name": a.Name}, "name": i.Name, "type": i.Process,
			"size": sizeName(i.Size), "state": dynoState(i.State), "command": commandLine(commands[i.Name]), "attach_url": nil,
			"release":    object{"id": idOf("release", string(a.ID), strconv.Itoa(i.Release)), "version": i.Release},
			"created_at": stamp(i.Since), "updated_at": stamp(i.Since)}
	}
}

func (c *call) showTask(t stead.Task, attach any) object {
	state := "starting"
	switch t.State {
	case stead.TaskRunning:
		state = "up"
	case stead.TaskSucceeded, stead.TaskFailed:
		state = "complete"
	}
	kind, _, _ := strings.Cut(t.Name, ".")
	return object{"id": t.ID, "app": object{"id": t.AppID, "name": t.App}, "name": t.Name, "type": kind, "size": sizeName(t.Size), "state": state,
		"command": shown(commandLine(t.Command)), "attach_url": attach, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.CreatedAt),
		"release": object{"id": idOf("release", string(t.AppID), strconv.Itoa(t.Release)), "version": t.Release}}
}

// shown leaves out what the CLI adds to a command to learn its exit code.
func shown(command string) string {
	text, _, _ := strings.Cut(command, " ; echo \"\uFFFF heroku-command-exit-status")
	return text
}

// instances returns the app's instances and the command of each by name.
func (c *call) instances() (a stead.App, all []stead.Instance, commands map[string]stead.Command, err error) {
	if a, err = c.p.App(c.ctx, c.app()); err != nil {
		return a, nil, nil, err
	}
	if all, err = c.p.Instances(c.ctx, string(a.ID)); err != nil {
		return a, nil, nil, err
	}
	processes, err := c.p.Processes(c.ctx, string(a.ID))
	if err != nil {
		return a, nil, nil, err
	}
	tasks, err := c.p.Tasks(c.ctx, string(a.ID))
	if err != nil {
		return a, nil, nil, err
	}
	byType := map[string]stead.Command{}
	for _, p := range processes {
		byType[p.Type] = p.Command
	}
	commands = map[string]stead.Command{}
	for _, i := range all {
		commands[i.Name] = byType[i.Process]
	}
	for _, t := range tasks {
		commands[t.Name] = stead.Shell(shown(commandLine(t.Command)))
	}
	return a, all, commands, nil
}

// dynos lists what runs; what is on its way out is left out, as Heroku does.
func (c *call) dynos() (any, error) {
	a, all, commands, err := c.instances()
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, i := range all {
		if i.State != stead.InstanceStopping && i.State != stead.InstanceExited {
			out = append(out, c.showDyno(a, commands)(i))
		}
	}
	return out, nil
}

func (c *call) dyno() (any, error) {
	a, all, commands, err := c.instances()
	if err != nil {
		return nil, err
	}
	ref := c.params["dyno"]
	for _, i := range all {
		if o := c.showDyno(a, commands)(i); i.Name == ref || o["id"] == ref {
			return o, nil
		}
	}
	if t, err := c.p.Task(c.ctx, string(a.ID), ref); err == nil {
		return c.showTask(t, nil), nil
	}
	return nil, stead.NotFound("instance", ref)
}

type runInput struct {
	Command    string         `json:"command"`
	Attach     bool           `json:"attach"`
	Env        map[string]any `json:"env"`
	Size       string         `json:"size"`
	Type       string         `json:"type"`
	ForceNoTTY bool           `json:"force_no_tty"`
	TimeToLive *int           `json:"time_to_live"`
}

// env returns the variables, and the terminal's size if the caller has one.
func (in runInput) env() (stead.Config, terminal) {
	env := stead.Config{}
	for k, v := range in.Env {
		switch v := v.(type) {
		case string:
			env[k] = v
		case float64:
			env[k] = strconv.Itoa(int(v))
		}
	}
	cols, _ := strconv.Atoi(env["COLUMNS"])
	rows, _ := strconv.Atoi(env["LINES"])
	t := terminal{on: cols > 0 && !in.ForceNoTTY, cols: uint16(min(cols, 1000)), rows: uint16(min(max(rows, 1), 1000))}
	return env, t
}

// runDyno makes a one-off dyno. Its command is a line for the shell of the
// app's image. It has a terminal if the caller's output is one, which the CLI
// tells by COLUMNS.
func (c *call) runDyno() (any, error) {
	var in runInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Command == "" {
		return nil, stead.Invalid("command", "the command is empty", "say what to run, such as bash")
	}
	env, term := in.env()
	t, err := c.p.Run(c.ctx, c.app(), platform.NewTask{Command: stead.Shell(in.Command), Attached: in.Attach, TTY: in.Attach && term.on,
		Env: env, Size: strings.ToLower(in.Size)})
	if err != nil {
		return nil, err
	}
	t.Command = stead.Shell(in.Command)
	var at any
	if in.Attach {
		if at, err = c.meet(session{app: string(t.AppID), task: t.Name, terminal: term}); err != nil {
			return nil, err
		}
	}
	return c.created(c.showTask(t, at)), nil
}

// runInside runs a command in a dyno that is up.
func (c *call) runInside() (any, error) {
	var in runInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, err := c.p.Authorize(c.ctx, c.app(), stead.ActWrite); err != nil {
		return nil, err
	}
	d, err := c.dyno()
	if err != nil {
		return nil, err
	}
	if in.Command == "" {
		return nil, stead.Invalid("command", "the command is empty", "say what to run, such as bash")
	}
	o := d.(object)
	env, term := in.env()
	o["attach_url"], err = c.meet(session{app: string(o["app"].(object)["id"].(stead.ID)), instance: o["name"].(string),
		command: stead.Shell(in.Command), env: env, terminal: term})
	o["command"] = shown(in.Command)
	return c.created(o), err
}

func (c *call) restartAll() (any, error) {
	c.status = 202
	return object{}, c.p.Restart(c.ctx, c.app(), "")
}

// restartDyno ends a one-off dyno, or replaces the process of another: Stead
// replaces instances so that no request is lost, not one by one.
func (c *call) restartDyno() (any, error) {
	c.status = 202
	return object{}, c.replace(false)
}

func (c *call) stopDyno() (any, error) {
	c.status = 202
	return object{}, c.replace(true)
}

func (c *call) replace(stop bool) error {
	ref := c.params["dyno"]
	process, number, numbered := strings.Cut(ref, ".")
	if numbered && (process == stead.ProcessRun || process == stead.ProcessRelease) && number != "" {
		return c.p.StopTask(c.ctx, c.app(), ref)
	}
	if numbered {
		d, err := c.dyno()
		if err != nil {
			return err
		}
		process = d.(object)["type"].(string)
		if others, err := c.others(process, d.(object)["name"].(string)); stop && (err != nil || others) {
			return cmp.Or(err, stead.Precondition("dynos of a process are stopped together, and "+process+" has others than "+ref,
				"scale it down, or stop all of it: heroku ps:stop --process-type "+process))
		}
	}
	if stop {
		return c.p.Stop(c.ctx, c.app(), process)
	}
	return c.p.Restart(c.ctx, c.app(), process)
}

// others reports whether the process runs under another name, too.
func (c *call) others(process, name string) (bool, error) {
	all, err := c.p.Instances(c.ctx, c.app())
	return slices.ContainsFunc(all, func(i stead.Instance) bool { return i.Process == process && i.Name != name }), err
}
