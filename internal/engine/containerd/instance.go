package containerd

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// instance keeps one copy of a workload:
//
//	starting ─→ up ─→ (end) ─→ crashed ─→ starting …    a service
//	    └────────┴──→ exited                            a task
//	any ─→ stopping ─→ gone                             once halted
type instance struct {
	e     *Engine
	w     engine.Workload
	index int
	id    string // "<workload>.<index>"
	name  string // "web.1"

	looping bool // guarded by Engine.mu
	stopped chan struct{}
	once    sync.Once

	mem   memory     // written by the loop only, under mu
	mu    sync.Mutex // guards mem against readers
	added []stead.Stage
}

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	steadyAfter  = time.Minute // up this long, the back-off begins anew
)

// end says how a container ended.
type end struct {
	code   *int
	cause  engine.Cause
	reason string
	upFor  time.Duration
}

func (e *Engine) newInstance(w engine.Workload, index int, m memory) *instance {
	return &instance{e: e, w: w, index: index, id: w.ID + "." + strconv.Itoa(index), name: w.Process + "." + strconv.Itoa(index),
		stopped: make(chan struct{}), mem: m}
}

// halt asks the loop to stop the instance and end.
func (i *instance) halt() { i.once.Do(func() { close(i.stopped) }) }

func (i *instance) halted() bool {
	select {
	case <-i.stopped:
		return true
	default:
		return false
	}
}

// run is the instance's loop. It ends with the instance, or with ctx, and then
// leaves the container running.
func (i *instance) run(ctx context.Context) error {
	for ctx.Err() == nil && !i.halted() {
		switch i.mem.State {
		case engine.StateExited:
			i.sleep(ctx, time.Time{})
		case engine.StateCrashed:
			i.sleep(ctx, i.mem.Retry)
			if !i.halted() && ctx.Err() == nil {
				i.move(engine.StateStarting, i.mem.Cause, i.mem.Reason, nil)
			}
		default:
			i.live(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	for i.mem.Container != "" && ctx.Err() == nil {
		i.live(ctx)
	}
	if ctx.Err() == nil {
		i.e.gone(i)
	}
	return nil
}

// sleep waits until then (for ever, if zero), the end of ctx or a halt.
func (i *instance) sleep(ctx context.Context, then time.Time) {
	var alarm <-chan time.Time
	if !then.IsZero() {
		t := time.NewTimer(time.Until(then))
		defer t.Stop()
		alarm = t.C
	}
	select {
	case <-ctx.Done():
	case <-i.stopped:
	case <-alarm:
	}
}

// live takes the instance through one container: the one it has, or a new one.
func (i *instance) live(ctx context.Context) {
	r, err := i.resume(ctx)
	if err != nil { // containerd does not answer; nothing is known
		pause(ctx, 100*time.Millisecond)
		return
	}
	if r == nil && i.mem.State == engine.StateStarting && !i.halted() {
		if r, err = i.start(ctx); err != nil && ctx.Err() == nil {
			i.failed(ctx, err)
			return
		}
	}
	if r == nil || ctx.Err() != nil {
		return
	}
	ended, err := i.attend(ctx, r)
	if err != nil || ctx.Err() != nil {
		return // the loop finds the container again
	}
	i.concluded(ctx, ended)
}

// failed deals with an instance that could not be started.
func (i *instance) failed(ctx context.Context, err error) {
	if i.mem.Container != "" {
		i.e.clear(context.WithoutCancel(ctx), i.mem.Container)
		i.remember(func(m *memory) { m.Container = "" })
	}
	if unavailable(err) {
		i.e.log.Warn("start postponed", "instance", i.id, "error", err)
		i.sleep(ctx, time.Now().Add(300*time.Millisecond))
		return
	}
	i.e.log.Warn("start failed", "instance", i.id, "error", err)
	reason := "could not be started"
	if se, ok := errors.AsType[*stead.Error](err); ok {
		reason = se.Msg
	}
	i.concluded(ctx, end{cause: engine.CauseImage, reason: reason})
}

// concluded decides what follows the end of a container.
func (i *instance) concluded(ctx context.Context, d end) {
	if i.halted() {
		return
	}
	if i.w.Task {
		i.remember(func(m *memory) { m.ExitCode = d.code })
		i.move(engine.StateExited, d.cause, d.reason, nil)
		return
	}
	i.remember(func(m *memory) {
		if d.upFor >= steadyAfter {
			m.Failures = 0
		}
		m.Failures++
		m.ExitCode, m.Retry = d.code, time.Now().Add(backoff(m.Failures))
	})
	i.move(engine.StateCrashed, d.cause, d.reason, nil)
}

// backoff returns the wait after that many failures in a row, with up to a
// tenth on top so that many do not return at once.
func backoff(failures int) time.Duration {
	d := maxBackoff
	if failures < 7 {
		d = min(firstBackoff<<(failures-1), maxBackoff)
	}
	return d + time.Duration(rand.Int64N(int64(d)/10))
}

// move goes to a state, remembers it, tells it and logs it.
func (i *instance) move(to engine.State, cause engine.Cause, reason string, stages []stead.Stage) {
	from := i.mem.State
	i.remember(func(m *memory) {
		m.Cause, m.Reason = cause, reason
		if m.State != to {
			m.State, m.Since = to, time.Now()
		}
	})
	i.e.hub.publish(i.status(stages))
	if from != to {
		text := "State changed from " + string(from) + " to " + string(to)
		if reason != "" && to != engine.StateStarting {
			text += ": " + reason
		}
		i.say(text)
	}
}

func (i *instance) remember(change func(*memory)) {
	i.mu.Lock()
	change(&i.mem)
	m := i.mem
	i.mu.Unlock()
	durable := m.State == engine.StateExited
	if err := i.e.cfg.saveMemory(i.w.ID, i.index, m, durable); err != nil {
		i.e.log.Error("instance not recorded", "instance", i.id, "error", err)
	}
}

func (i *instance) status(stages []stead.Stage) engine.Status {
	i.mu.Lock()
	m := i.mem
	i.mu.Unlock()
	s := engine.Status{Workload: i.w.ID, Instance: i.id, Name: i.name, State: m.State, Cause: m.Cause, Reason: m.Reason,
		ExitCode: m.ExitCode, Restarts: max(0, m.Starts-1), Node: i.e.cfg.Node, Since: m.Since, Stages: stages}
	if i.w.Port != 0 && (m.State == engine.StateUp || m.State == engine.StateStarting || m.State == engine.StateStopping) {
		s.Address = m.Address
	}
	return s
}

// container returns the name of the instance's container, if it has one.
func (i *instance) container() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mem.Container
}

// say writes a line of the platform's own into the instance's log.
func (i *instance) say(text string) {
	i.e.tails.say(i.w.LogStream, i.name, text)
}
