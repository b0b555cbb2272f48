package converge

import (
	"context"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

// TaskVerb is what the tasks loop does next for a task.
type TaskVerb string

// The verbs.
const (
	TaskNothing TaskVerb = ""
	TaskApply   TaskVerb = "apply"  // make its workload
	TaskStart   TaskVerb = "start"  // record that it runs
	TaskFinish  TaskVerb = "finish" // record its end, and delete its workload
)

// TaskStep is the next step of a task.
type TaskStep struct {
	Verb   TaskVerb
	Exit   *int
	Reason string
}

// TaskHave is what there is of a task.
type TaskHave struct {
	Status    *engine.Status // nil: the engine knows no instance of it
	Destroyed bool           // its app is being destroyed
	Inherited bool           // it was open when this platform started
}

type taskMemory struct {
	asked     time.Time
	inherited bool
}

// PlanTask computes what to do next for a task that is not finished. An
// attached task is started and finished by the platform's AttachTask, which
// holds its streams.
func PlanTask(j platform.TaskJob, have TaskHave, now time.Time, set Settings) TaskStep {
	t := j.Task
	switch {
	case have.Destroyed:
		return TaskStep{Verb: TaskFinish, Reason: "the app was destroyed"}
	case t.Attached && t.State == stead.TaskRunning && have.Inherited:
		return TaskStep{Verb: TaskFinish, Reason: "the platform was restarted, which ended the session"}
	case t.Attached && t.State == stead.TaskPending && now.Sub(t.CreatedAt) > set.AttachTime:
		return TaskStep{Verb: TaskFinish, Reason: "nobody attached to it within " + set.AttachTime.String()}
	case have.Status == nil && t.State == stead.TaskPending:
		return TaskStep{Verb: TaskApply}
	case have.Status == nil && !t.Attached:
		return TaskStep{Verb: TaskFinish, Reason: "the engine lost it, with its machine"}
	case have.Status == nil:
		return TaskStep{}
	}
	return planStatus(t, *have.Status)
}

func planStatus(t stead.Task, st engine.Status) TaskStep {
	switch st.State {
	case engine.StateExited, engine.StateCrashed:
		reason := st.Reason
		if st.Cause == engine.CauseExit && st.ExitCode != nil {
			reason = ""
		}
		return TaskStep{Verb: TaskFinish, Exit: st.ExitCode, Reason: reason}
	case engine.StateUp:
		if t.State == stead.TaskPending && !t.Attached {
			return TaskStep{Verb: TaskStart}
		}
	}
	return TaskStep{}
}

// runTasks does the next step of each open task; it reports whether any
// finished or started.
func (l *Loops) runTasks(ctx context.Context, t *turn, now time.Time) (changed bool) {
	have := map[string]*engine.Status{}
	destroyed := map[stead.ID]bool{}
	for _, a := range t.apps {
		destroyed[a.in.App.ID] = a.in.Destroyed
		for i := range a.tasks {
			have[a.tasks[i].Workload] = &a.tasks[i]
		}
	}
	open := map[stead.ID]bool{}
	for _, j := range t.jobs {
		open[j.Task.ID] = true
		if !t.seen[j.App.Region] {
			continue
		}
		h := TaskHave{Status: have[taskPrefix+string(j.Task.ID)], Destroyed: destroyed[j.App.ID], Inherited: l.inherited(j.Task)}
		changed = l.taskStep(ctx, j, PlanTask(j, h, now, l.set), now) || changed
	}
	for id := range l.mem.tasks {
		if !open[id] {
			delete(l.mem.tasks, id)
		}
	}
	return changed
}

// inherited reports whether the task ran already when this platform looked for
// the first time.
func (l *Loops) inherited(t stead.Task) bool {
	m := l.mem.tasks[t.ID]
	if m == nil {
		m = &taskMemory{inherited: t.State == stead.TaskRunning && t.CreatedAt.Before(l.started)}
		l.mem.tasks[t.ID] = m
	}
	return m.inherited
}

func (l *Loops) taskStep(ctx context.Context, j platform.TaskJob, s TaskStep, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	e, p, m := l.d.Engines[j.App.Region], l.d.Platform, l.mem.tasks[j.Task.ID]
	switch s.Verb {
	case TaskApply:
		if now.Sub(m.asked) > repeatApply {
			m.asked = now
			l.logged(ctx, "task not applied", e.Apply(ctx, l.connected(taskWorkload(j, l.set.Sizes))), "task", j.Task.Name)
		}
	case TaskStart:
		return l.logged(ctx, "task start not recorded", p.StartTask(ctx, j.Task.ID), "task", j.Task.Name)
	case TaskFinish:
		err := p.FinishTask(ctx, j.Task.ID, s.Exit, s.Reason)
		if !l.logged(ctx, "task end not recorded", err, "task", j.Task.Name) {
			return false
		}
		return l.logged(ctx, "task not deleted", e.Delete(ctx, taskPrefix+string(j.Task.ID)), "task", j.Task.Name)
	}
	return false
}
