package converge

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

const sourceStead = "stead"

// tell writes lines of the platform's own to a stream.
func (l *Loops) tell(ctx context.Context, stream, process string, texts ...string) {
	lines := make([]logs.Line, 0, len(texts))
	for _, t := range texts {
		lines = append(lines, logs.Line{At: time.Now(), Source: sourceStead, Process: process, Text: t})
	}
	l.logged(ctx, "lines not written", l.d.Logs.Append(context.WithoutCancel(ctx), stream, lines...), "stream", stream)
}

// seal ends a stream.
func (l *Loops) seal(ctx context.Context, stream string) {
	l.logged(ctx, "stream not sealed", l.d.Logs.Seal(stream), "stream", stream)
}

// follow notes which release is rolled out, and ends the stream of one that a
// newer release displaced.
func (l *Loops) follow(ctx context.Context, a *appTurn) {
	var next *platform.ReleaseSpec
	if !a.in.Destroyed {
		next = a.in.Target
	}
	last := a.mem.target
	a.mem.target = next
	if last == nil || sameRelease(last, next) || sameRelease(last, a.in.Live) {
		return
	}
	clear(a.mem.told)
	stream := logs.ReleaseStream(last.ID)
	switch {
	case a.in.Destroyed:
		l.tell(ctx, stream, "", "v"+strconv.Itoa(last.Version)+" was given up: the app was destroyed")
	case next != nil:
		l.tell(ctx, stream, "", fmt.Sprintf("v%d was superseded by v%d", last.Version, next.Version))
	default:
		return // failed: told and sealed
	}
	l.seal(ctx, stream)
}

// progress tells how the instances of a rollout come up.
func (l *Loops) progress(ctx context.Context, a *appTurn) {
	stream := logs.AppStream(a.in.App.ID)
	if a.mem.target != nil {
		stream = logs.ReleaseStream(a.mem.target.ID)
	}
	for _, st := range a.services {
		id, _ := ParseIdent(st.Workload)
		if a.plan.Goal[id.Process].ID != st.Workload {
			continue
		}
		last, known := a.mem.told[st.Instance]
		if known && last.State == st.State && last.Restarts == st.Restarts {
			continue
		}
		a.mem.told[st.Instance] = st
		if !known && st.State == engine.StateUp && a.mem.target != nil { // it was quick
			l.tell(ctx, stream, st.Name, st.Name+" starting")
		}
		if text := step(last, known, st); text != "" && (known || a.mem.target != nil || st.State != engine.StateUp) {
			l.tell(ctx, stream, st.Name, text)
		}
	}
	l.forgetTold(a)
}

func (l *Loops) forgetTold(a *appTurn) {
	if len(a.mem.told) <= 2*len(a.services)+16 {
		return
	}
	seen := map[string]bool{}
	for _, st := range a.services {
		seen[st.Instance] = true
	}
	for i := range a.mem.told {
		if !seen[i] {
			delete(a.mem.told, i)
		}
	}
}

// step says what became of an instance.
func step(last engine.Status, known bool, st engine.Status) string {
	switch st.State {
	case engine.StateStarting:
		return st.Name + " starting"
	case engine.StateUp:
		took := 0.0
		for _, s := range st.Stages {
			took += s.Seconds
		}
		if took == 0 && known && last.State == engine.StateStarting {
			took = st.Since.Sub(last.Since).Seconds()
		}
		if took > 0 {
			return fmt.Sprintf("%s up after %.2f s", st.Name, took)
		}
		return st.Name + " up"
	case engine.StateCrashed:
		return headline(st)
	}
	return ""
}

func (l *Loops) tellLive(ctx context.Context, a *appTurn) {
	app := logs.AppStream(a.in.App.ID)
	v := "v" + strconv.Itoa(a.in.Target.Version)
	stream := logs.ReleaseStream(a.in.Target.ID)
	l.tell(ctx, stream, "", "routes switched to "+v)
	l.tell(ctx, app, "", "release "+v+" is live")
	if _, web := a.plan.Goal[stead.ProcessWeb]; web && a.in.App.URL != "" {
		l.tell(ctx, stream, "", a.in.App.URL)
	}
	l.seal(ctx, stream)
}

func (l *Loops) tellFailed(ctx context.Context, a *appTurn, reason string, lines []string) {
	v := "v" + strconv.Itoa(a.in.Target.Version)
	out := []string{"release " + v + " failed: " + reason}
	if len(lines) > 0 {
		out = append(out, "its last lines:")
	}
	for _, line := range lines {
		out = append(out, "    "+line)
	}
	if a.in.Live != nil {
		out = append(out, "v"+strconv.Itoa(a.in.Live.Version)+" goes on serving")
	}
	stream := logs.ReleaseStream(a.in.Target.ID)
	l.tell(ctx, stream, "", out...)
	l.tell(ctx, logs.AppStream(a.in.App.ID), "", out[0])
	l.seal(ctx, stream)
}

// lastLinesMax is how much of a failed instance's output the reason carries.
const lastLinesMax = 20

// lastLines returns the last lines of the instance that failed.
func (l *Loops) lastLines(ctx context.Context, a *appTurn, st engine.Status) []string {
	stream := logs.AppStream(a.in.App.ID)
	if process, _ := splitName(st.Name); process == stead.ProcessRelease {
		stream = logs.ReleaseStream(a.in.Target.ID)
	}
	var out []string
	for line, err := range l.d.Logs.Tail(ctx, stream, logs.Query{Num: 200, Process: st.Name}) {
		if err != nil {
			l.logged(ctx, "last lines not read", err, "app", a.in.App.Name)
			break
		}
		foreign := line.Origin != "" && st.Instance != "" && !strings.Contains(line.Origin, st.Instance)
		if line.Source == sourceStead || foreign || line.At.Before(a.in.Target.CreatedAt) {
			continue
		}
		out = append(out, line.Text)
	}
	return out[max(0, len(out)-lastLinesMax):]
}
