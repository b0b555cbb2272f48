package containerd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// running is a container with a started task.
type running struct {
	container string
	pid       int
	tail      *tail
	watch     *stopwatch // of its start; nil: adopted
}

// bootGrace is what a process that never became healthy is given to end.
const bootGrace = 2 * time.Second

// resume finds the container that the instance had before. Nil: there is none
// that runs; what was left of it is cleared.
func (i *instance) resume(ctx context.Context) (*running, error) {
	id := i.mem.Container
	if id == "" {
		return nil, nil
	}
	t, err := i.e.task(ctx, id)
	if err == nil {
		st, err := t.Status(ctx)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, err
		}
		if err == nil && st.Status != client.Created {
			return &running{container: id, pid: int(t.Pid()), tail: i.e.tails.open(id, i)}, nil
		}
	} else if !errdefs.IsNotFound(err) {
		return nil, err
	}
	ran := i.mem.State == engine.StateUp || i.mem.State == engine.StateStopping
	if ran {
		i.e.tails.open(id, i).finish(ctx)
	}
	i.e.clear(ctx, id)
	i.remember(func(m *memory) { m.Container = "" })
	if ran {
		i.concluded(ctx, end{cause: engine.CauseUnknown, reason: "ended while nobody looked; its exit status is unknown"})
	}
	return nil, nil
}

// attend stays with a started container until it ended and is cleared. An
// error means that it is not known to have ended.
func (i *instance) attend(ctx context.Context, r *running) (end, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	exit := make(chan end, 1)
	go func() { exit <- i.e.await(waiting, r.container) }()
	healthy := make(chan error, 1)
	booting := i.mem.State == engine.StateStarting
	if booting {
		go func() { healthy <- i.boot(waiting, r) }()
	}
	var up time.Time
	if !booting {
		up = i.mem.Since
	}
	for {
		select {
		case <-ctx.Done():
			return end{}, ctx.Err()
		case d := <-exit:
			return i.settle(ctx, r, d, up), nil
		case <-i.stopped:
			i.move(engine.StateStopping, i.mem.Cause, "", nil)
			return i.settle(ctx, r, i.stop(ctx, r, exit, i.w.StopGrace), up), ctx.Err()
		case err := <-healthy:
			if err == nil {
				up = time.Now()
				i.move(engine.StateUp, engine.CauseNone, "", r.stages())
				continue
			}
			if waiting.Err() != nil {
				continue
			}
			i.say("Process " + err.Error())
			d := i.stop(ctx, r, exit, bootGrace)
			i.settle(ctx, r, d, up)
			return end{cause: engine.CauseBoot, reason: err.Error()}, ctx.Err()
		}
	}
}

// stop ends the container: SIGTERM to all its processes, then SIGKILL.
func (i *instance) stop(ctx context.Context, r *running, exit <-chan end, grace time.Duration) end {
	i.say("Stopping all processes with SIGTERM")
	i.e.signal(r.container, syscall.SIGTERM)
	patience := time.NewTimer(max(grace, 10*time.Millisecond))
	defer patience.Stop()
	select {
	case d := <-exit:
		return d
	case <-ctx.Done():
		return end{}
	case <-patience.C:
	}
	i.say("Stopping remaining processes with SIGKILL")
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		i.e.signal(r.container, syscall.SIGKILL)
		select {
		case d := <-exit:
			return d
		case <-ctx.Done():
			return end{}
		case <-again.C:
		}
	}
}

// settle tells why a container ended and removes it.
func (i *instance) settle(ctx context.Context, r *running, d end, up time.Time) end {
	if ctx.Err() != nil {
		return d
	}
	if !up.IsZero() {
		d.upFor = time.Since(up)
	}
	if d.cause != engine.CauseUnknown && (d.code == nil || *d.code != 0) && oomKills(i.e.cgroup(r.container)) > 0 {
		d.cause, d.reason = engine.CauseMemory, fmt.Sprintf("killed for memory (limit %d MiB)", i.w.Size.Memory>>20)
	}
	i.e.dropTask(ctx, r.container) // returns when all output is written
	r.tail.finish(ctx)
	switch {
	case d.cause == engine.CauseMemory:
		i.say("Process was " + d.reason)
	case d.code != nil:
		i.say("Process exited with status " + strconv.Itoa(*d.code))
	default:
		i.say("Process ended; its exit status is unknown")
	}
	i.e.clear(ctx, r.container)
	i.remember(func(m *memory) { m.Container, m.ExitCode = "", d.code })
	return d
}

// await returns how the container's task ended. It outlives containerd.
func (e *Engine) await(ctx context.Context, container string) end {
	lost := end{cause: engine.CauseUnknown, reason: "ended while nobody looked; its exit status is unknown"}
	for ctx.Err() == nil {
		t, err := e.task(ctx, container)
		if errdefs.IsNotFound(err) {
			return lost
		}
		if err == nil {
			var exited <-chan client.ExitStatus
			if exited, err = t.Wait(ctx); err == nil {
				s := <-exited
				if code, _, err := s.Result(); err == nil {
					return ended(int(code))
				}
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	return lost
}

func ended(code int) end {
	reason := fmt.Sprintf("exit status %d", code)
	if code > 128 && code < 128+65 {
		reason = fmt.Sprintf("exit status %d (signal %s)", code, syscall.Signal(code-128))
	}
	return end{code: &code, cause: engine.CauseExit, reason: reason}
}

func (e *Engine) task(ctx context.Context, container string) (client.Task, error) {
	c, err := e.containerd().LoadContainer(ctx, container)
	if err != nil {
		return nil, err
	}
	return c.Task(ctx, nil)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func unavailable(err error) bool {
	return errdefs.IsUnavailable(err) || errdefs.IsCanceled(err) || errdefs.IsDeadlineExceeded(err) ||
		errors.Is(err, context.DeadlineExceeded) || stead.KindOf(err) == stead.KindUnavailable
}
