package platform

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/store"
)

// attachments are the tasks that a client of this process holds.
type attachments struct {
	mu   sync.Mutex
	held map[stead.ID]bool
}

func newAttachments() *attachments { return &attachments{held: map[stead.ID]bool{}} }

func (a *attachments) take(id stead.ID) (release func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held[id] {
		return nil, false
	}
	a.held[id] = true
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.held, id)
	}, true
}

// AttachTask waits until the attached task's instance is up, runs its command
// on the streams, records its end and returns its exit code. When ctx ends, or
// the actor loses access, the command does, too.
func (p *Platform) AttachTask(ctx context.Context, ref, name string, s engine.Streams) (int, error) {
	a, t, err := p.beginAttach(ctx, ref, name)
	if err != nil {
		return 0, err
	}
	release, ok := p.attached.take(t.ID)
	if !ok {
		return 0, stead.Conflict("another client is attached to "+name, "start a task of your own with stead run")
	}
	defer release()
	ctx, stop := p.guard(ctx, ref, stead.ActWrite)
	defer stop()
	exit, err := p.attach(ctx, a, t, s)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	p.endAttach(ctx, t.ID, exit, err)
	return exit, err
}

func (p *Platform) beginAttach(ctx context.Context, ref, name string) (a store.App, t store.Task, err error) {
	err = p.change(ctx, func(w *work) error {
		if a, t, err = w.task(ref, name, stead.ActWrite); err != nil {
			return err
		}
		switch {
		case t.State.Done():
			return stead.Precondition("the task "+name+" has ended already", "start another with stead run")
		case !t.Attached || t.State == stead.TaskRunning:
			return stead.Precondition("the task "+name+" cannot be attached to", "follow it with stead logs --ps "+name)
		}
		return w.event("task.attach", &a, map[string]any{"task": name})
	})
	return a, t, err
}

func (p *Platform) attach(ctx context.Context, a store.App, t store.Task, s engine.Streams) (int, error) {
	e, err := p.engine(a)
	if err != nil {
		return 0, err
	}
	instance, err := p.awaitTask(ctx, t)
	if err != nil {
		return 0, err
	}
	if err := p.StartTask(p.as(ctx), t.ID); err != nil {
		return 0, err
	}
	return e.Exec(ctx, instance, engine.Command{Args: t.Command, TTY: t.TTY}, s)
}

func (p *Platform) engine(a store.App) (engine.Engine, error) {
	e, ok := p.d.Engines[a.Region]
	if !ok {
		return nil, stead.Unavailable("the region "+a.Region+" has no engine now", "try again, or ask an administrator", nil)
	}
	return e, nil
}

// lookEvery is how often to look for what another process may have changed.
const lookEvery = time.Second

// awaitTask waits until the task's instance is up and returns its engine's id.
func (p *Platform) awaitTask(ctx context.Context, t store.Task) (ref string, err error) {
	wake, stop := p.bell.listen(topicInstances, TopicTasks)
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ref == "" {
		if ref, err = p.taskInstance(ctx, t); err != nil {
			return "", err
		}
		if ref != "" {
			break
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-wake:
		case <-tick.C:
		}
	}
	return ref, nil
}

func (p *Platform) taskInstance(ctx context.Context, t store.Task) (ref string, err error) {
	err = p.view(p.as(ctx), func(w *work) error {
		now, err := w.TaskByID(t.ID)
		if err != nil {
			return orElse(err, stead.NotFound("task", t.Name))
		}
		if now.State.Done() {
			return stead.Precondition("the task "+t.Name+" ended before it could be attached to: "+now.Reason, "see stead logs --ps "+t.Name)
		}
		ref, err = w.upInstance(t.AppID, func(i stead.Instance) bool { return i.Name == t.Name })
		return orElse(err, nil)
	})
	return ref, err
}

// upInstance returns the engine's id of an instance that is up, of the newest
// release if there are several. None: store.ErrNotFound.
func (w *work) upInstance(app stead.ID, match func(stead.Instance) bool) (string, error) {
	all, err := w.Instances(app)
	best := stead.Instance{Release: -1}
	for _, i := range all {
		if match(i) && i.State == stead.InstanceUp && i.Release > best.Release {
			best = i
		}
	}
	if err == nil && best.Ref == "" {
		err = store.ErrNotFound
	}
	return best.Ref, err
}

// endAttach records how an attached task ended, also when its client is gone.
func (p *Platform) endAttach(ctx context.Context, id stead.ID, exit int, err error) {
	ctx, cancel := context.WithTimeout(p.as(context.WithoutCancel(ctx)), 10*time.Second)
	defer cancel()
	code, reason := &exit, ""
	if err != nil {
		code, reason = nil, p.endReason(err)
	}
	if err := p.FinishTask(ctx, id, code, reason); err != nil {
		p.log.Error("task end not recorded", "err", err)
	}
}

func (p *Platform) endReason(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "its client went away"
	}
	if e, ok := errors.AsType[*stead.Error](err); ok {
		return e.Msg
	}
	p.log.Error("attached task failed", "err", err)
	return "the platform could not run it"
}

// Exec runs a command in a running instance ("web.1"; "" is any web instance).
// When ctx ends, or the actor loses access, the command does, too.
func (p *Platform) Exec(ctx context.Context, ref, instance string, c engine.Command, s engine.Streams) (int, error) {
	var a store.App
	var id string
	err := p.change(ctx, func(w *work) (err error) {
		if a, err = w.app(ref, stead.ActWrite); err != nil {
			return err
		}
		if err := errors.Join(checkCommand(c.Args), c.Env.Check()); err != nil {
			return err
		}
		id, err = w.upInstance(a.ID, func(i stead.Instance) bool {
			return i.Name == instance || instance == "" && i.Process == stead.ProcessWeb
		})
		if err != nil {
			return orElse(err, notUp(instance))
		}
		return w.event("exec.start", &a, map[string]any{"instance": instance, "command": c.Args[0]})
	})
	if err != nil {
		return 0, err
	}
	e, err := p.engine(a)
	if err != nil {
		return 0, err
	}
	ctx, stop := p.guard(ctx, ref, stead.ActWrite)
	defer stop()
	exit, err := e.Exec(ctx, id, c, s)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return exit, err
}

func notUp(instance string) error {
	if instance == "" {
		return stead.Precondition("no web instance of the app is up", "see stead ps, or use stead run for an instance of its own")
	}
	return stead.Precondition("there is no instance "+strconv.Quote(instance)+" that is up", "see stead ps for those that are")
}
