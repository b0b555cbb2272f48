package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// NewTask is the wish for a one-off task. Size "" is the web process's.
type NewTask struct {
	Command  stead.Command `json:"command"`
	Attached bool          `json:"attached"`
	TTY      bool          `json:"tty,omitempty"`
	Env      stead.Config  `json:"env,omitempty"`
	Size     string        `json:"size,omitempty"`
}

const (
	maxOpenTasks = 50       // of one app
	maxArgs      = 256      // of one command
	maxCommand   = 64 << 10 // bytes of all its arguments
)

func checkCommand(c []string) error {
	size := 0
	for _, arg := range c {
		size += len(arg)
		if strings.ContainsRune(arg, 0) {
			return stead.Invalid("command", "the command contains a NUL byte", "leave it out")
		}
	}
	switch {
	case len(c) == 0 || c[0] == "":
		return stead.Invalid("command", "the command is empty", "say what to run, such as bash")
	case len(c) > maxArgs || size > maxCommand:
		return stead.Invalid("command", "the command is longer than 64 KiB or has more than 256 arguments", "put it into a script of the app")
	}
	return nil
}

// Run makes a one-off task of the release that serves. It starts by itself, or
// if attached, when AttachTask gives it streams.
func (p *Platform) Run(ctx context.Context, ref string, n NewTask) (out stead.Task, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		out, err = w.startTask(&a, n)
		return err
	})
	return out, err
}

// startTask makes a one-off task of the release that serves.
func (w *work) startTask(a *store.App, n NewTask) (t stead.Task, err error) {
	if err := errors.Join(checkCommand(n.Command), n.Env.Check()); err != nil {
		return t, err
	}
	if err := w.roomForTask(*a); err != nil {
		return t, err
	}
	if a.LiveID == "" {
		return t, stead.Precondition("the app has no release that serves, so there is nothing to run", "push it first")
	}
	if n.Size, err = w.taskSize(*a, n.Size); err != nil {
		return t, err
	}
	a.Tasks++
	if err := w.SaveApp(*a); err != nil {
		return t, err
	}
	return w.newTask(*a, stead.Task{Name: fmt.Sprintf("%s.%d", stead.ProcessRun, a.Tasks), Release: a.Release, Command: n.Command,
		Attached: n.Attached, TTY: n.TTY, Env: n.Env, Size: n.Size}, a.LiveID)
}

func (w *work) roomForTask(a store.App) error {
	open, err := w.OpenTasks()
	n := 0
	for _, t := range open {
		if t.AppID == a.ID {
			n++
		}
	}
	if err == nil && n >= maxOpenTasks {
		err = &stead.Error{Kind: stead.KindLimit, Msg: "50 tasks of the app are running already", Hint: "wait for them, or stop some"}
	}
	return err
}

// taskSize returns the size asked for, or that of the web process.
func (w *work) taskSize(a store.App, size string) (string, error) {
	if size != "" {
		_, err := stead.FindSize(w.p.set.Sizes, size)
		return size, err
	}
	all, err := w.Processes(a.ID)
	for _, v := range all {
		if v.Type == stead.ProcessWeb {
			return v.Size, err
		}
	}
	return stead.DefaultSize, err
}

func (w *work) newTask(a store.App, t stead.Task, release stead.ID) (stead.Task, error) {
	t.ID, t.AppID, t.App, t.State, t.By, t.CreatedAt = stead.NewID(w.now), a.ID, a.Name, stead.TaskPending, w.actor.Email, w.now
	sealed, err := w.p.seal(a.ID, t.Env)
	if err != nil {
		return t, err
	}
	if err := w.InsertTask(store.Task{Task: t, ReleaseID: release, SealedEnv: sealed}); err != nil {
		return t, err
	}
	t.Env = nil
	w.wake(TopicTasks)
	return t, w.event("task.create", &a, map[string]any{"task": t.Name, "attached": t.Attached, "release": t.Release})
}

// Tasks returns an app's newest tasks, newest first, without their Env, which
// may hold secrets.
func (p *Platform) Tasks(ctx context.Context, ref string) (out []stead.Task, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		all, err := w.Tasks(a.ID, maxListed)
		for _, t := range all {
			out = append(out, t.Task)
		}
		return err
	})
	return out, err
}

// Task returns an app's task by name ("run.7"), without its Env.
func (p *Platform) Task(ctx context.Context, ref, name string) (out stead.Task, err error) {
	err = p.view(ctx, func(w *work) error {
		_, t, err := w.task(ref, name, stead.ActRead)
		out = t.Task
		return err
	})
	return out, err
}

func (w *work) task(ref, name string, act stead.Action) (store.App, store.Task, error) {
	a, err := w.app(ref, act)
	if err != nil {
		return a, store.Task{}, err
	}
	t, err := w.Task(a.ID, name)
	return a, t, orElse(err, stead.NotFound("task", name))
}

// StopTask ends a task that is not done.
func (p *Platform) StopTask(ctx context.Context, ref, name string) error {
	return p.change(ctx, func(w *work) error {
		a, t, err := w.task(ref, name, stead.ActWrite)
		if err != nil {
			return err
		}
		if t.State.Done() {
			return stead.Precondition("the task "+name+" has ended already", "nothing is left to stop")
		}
		return w.endTask(a, t, nil, "stopped by "+w.actor.Email)
	})
}

func (w *work) endTask(a store.App, t store.Task, exit *int, reason string) error {
	t.State, t.ExitCode, t.Reason, t.FinishedAt = stead.TaskFailed, exit, reason, &w.now
	if exit != nil && *exit == 0 {
		t.State = stead.TaskSucceeded
	}
	if err := w.SaveTask(t); err != nil {
		return err
	}
	w.wake(TopicTasks, TopicApps)
	return w.event("task.finish", &a, map[string]any{"task": t.Name, "state": t.State, "exit_code": exit, "reason": reason})
}

// TaskJob is an unfinished task with what it needs, secrets included.
type TaskJob struct {
	Task    stead.Task
	App     stead.App
	Release ReleaseSpec
}

// OpenTasks returns the unfinished tasks, oldest first.
func (p *Platform) OpenTasks(ctx context.Context) (out []TaskJob, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		open, err := w.OpenTasks()
		if err != nil {
			return err
		}
		for _, t := range open {
			j, err := w.job(t)
			if err != nil {
				return err
			}
			out = append(out, j)
		}
		return nil
	})
	return out, err
}

func (w *work) job(t store.Task) (j TaskJob, err error) {
	a, err := w.AppByID(t.AppID)
	if err != nil {
		return j, err
	}
	r, err := w.ReleaseByID(t.ReleaseID)
	if err != nil {
		return j, err
	}
	spec, err := w.p.spec(r)
	if err != nil {
		return j, err
	}
	j = TaskJob{Task: t.Task, App: w.p.show(a), Release: *spec}
	j.Task.Env, err = w.p.unseal(a.ID, t.SealedEnv)
	return j, err
}

// ReleaseTask makes the release phase's task of a release, "release.<version>",
// and returns it as it is when it was made before.
func (p *Platform) ReleaseTask(ctx context.Context, release stead.ID) (out stead.Task, err error) {
	err = p.change(ctx, func(w *work) error {
		a, r, err := w.ours(release)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s.%d", stead.ProcessRelease, r.Version)
		t, err := w.Task(a.ID, name)
		if out = t.Task; !errors.Is(err, store.ErrNotFound) {
			return err
		}
		command, ok := r.Image.Processes[stead.ProcessRelease]
		if !ok {
			return stead.Precondition(fmt.Sprintf("v%d has no release phase", r.Version), "go on without")
		}
		size, err := w.taskSize(a, "")
		if err != nil {
			return err
		}
		out, err = w.newTask(a, stead.Task{Name: name, Release: r.Version, Command: command, Size: size}, r.ID)
		return err
	})
	return out, err
}

// StartTask records that a task runs. Saying it again changes nothing.
func (p *Platform) StartTask(ctx context.Context, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		a, t, err := w.ourTask(id)
		if err != nil || t.State == stead.TaskRunning {
			return err
		}
		if t.State.Done() {
			return stead.Conflict("the task "+t.Name+" has ended already", "leave it")
		}
		t.State = stead.TaskRunning
		if err := w.SaveTask(t); err != nil {
			return err
		}
		w.wake(TopicTasks)
		return w.event("task.start", &a, map[string]any{"task": t.Name})
	})
}

// FinishTask records the end of a task: exit 0 is success; nil says that it
// never came to an end of its own. The first end counts.
func (p *Platform) FinishTask(ctx context.Context, id stead.ID, exit *int, reason string) error {
	return p.change(ctx, func(w *work) error {
		a, t, err := w.ourTask(id)
		if err != nil || t.State.Done() {
			return err
		}
		return w.endTask(a, t, exit, reason)
	})
}

func (w *work) ourTask(id stead.ID) (a store.App, t store.Task, err error) {
	if err := w.system(); err != nil {
		return a, t, err
	}
	if t, err = w.TaskByID(id); err != nil {
		return a, t, orElse(err, stead.NotFound("task", string(id)))
	}
	a, err = w.AppByID(t.AppID)
	return a, t, err
}
