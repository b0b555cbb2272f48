package api

import (
	"context"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

// TaskRef is the part of an input that names a task.
type TaskRef struct {
	AppRef
	Task string `path:"task" maxLength:"100" doc:"A task's name, such as run.7"`
}

func tasks(s *server) {
	type newTask struct {
		AppRef
		Body stead.NewTask
	}
	handle(s, op("Run", "POST", "apps/{app}/tasks", "Run a one-off task"), func(ctx context.Context, in *newTask) (stead.Task, error) {
		b := in.Body
		return s.p.Run(ctx, in.App, platform.NewTask{Command: b.Command, Attached: b.Attached, TTY: b.TTY, Env: b.Env, Size: b.Size})
	})
	handleList(s, op("Tasks", "GET", "apps/{app}/tasks", "List tasks"), func(ctx context.Context, in *AppRef) ([]stead.Task, error) {
		return s.p.Tasks(ctx, in.App)
	})
	handle(s, op("Task", "GET", "apps/{app}/tasks/{task}", "A task"), func(ctx context.Context, in *TaskRef) (stead.Task, error) {
		return s.p.Task(ctx, in.App, in.Task)
	})
	act(s, op("StopTask", "POST", "apps/{app}/tasks/{task}/stop", "End a task"), func(ctx context.Context, in *TaskRef) error {
		return s.p.StopTask(ctx, in.App, in.Task)
	})
	handleCommand(s, op("Attach", "POST", "apps/{app}/tasks/{task}/attach", "Run an attached task on this connection", upgrading), func(ctx context.Context, in *TaskRef, st engine.Streams) (int, error) {
		return s.p.AttachTask(ctx, in.App, in.Task, st)
	})
	type exec struct {
		AppRef
		Instance string `query:"instance" maxLength:"100" doc:"Such as web.1; absent: any of web."`
		Body     stead.ExecCommand
	}
	handleCommand(s, op("Exec", "POST", "apps/{app}/exec", "Run a command in a running instance, on this connection", upgrading), func(ctx context.Context, in *exec, st engine.Streams) (int, error) {
		return s.p.Exec(ctx, in.App, in.Instance, engine.Command{Args: in.Body.Args, Env: in.Body.Env, TTY: in.Body.TTY}, st)
	})
}
