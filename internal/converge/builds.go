package converge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

var (
	errTaken = errors.New("the build was canceled")
	errLate  = errors.New("the build took too long")
)

// runBuilds claims queued builds and runs as many at once as the settings say.
func (l *Loops) runBuilds(ctx context.Context) error {
	wakes, stop := l.d.Platform.Wakes(platform.TopicBuilds)
	defer stop()
	tick := time.NewTicker(l.set.Tick)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, l.set.Builds)
	done := make(chan struct{}, 1)
	for {
		l.claim(ctx, free, func(j platform.BuildJob) {
			wg.Go(func() {
				l.build(ctx, j)
				<-free
				hint(done)
			})
		})
		select {
		case <-ctx.Done():
			return nil
		case <-wakes:
		case <-tick.C:
		case <-done:
		}
	}
}

// claim takes builds while there are any and a slot is free.
func (l *Loops) claim(ctx context.Context, free chan struct{}, run func(platform.BuildJob)) {
	for ctx.Err() == nil {
		select {
		case free <- struct{}{}:
		default:
			return
		}
		j, err := l.d.Platform.ClaimBuild(ctx, l.set.Holder, l.set.BuildTTL)
		l.logged(ctx, "no build claimed", err)
		if err != nil || j == nil {
			<-free
			return
		}
		run(*j)
	}
}

// build runs one claimed build to its end. When ctx ends, the claim runs out
// and the build is started again by whoever comes next.
func (l *Loops) build(ctx context.Context, j platform.BuildJob) {
	out := l.newOutput(ctx, j)
	held, cancel := context.WithCancelCause(ctx)
	limited, stop := context.WithTimeoutCause(held, l.set.Limits.Time, errLate)
	var wg sync.WaitGroup
	wg.Go(func() { l.keep(limited, j.Build.ID, cancel) })
	res, err := l.d.Builder.Build(limited, l.request(j, out.add))
	why := context.Cause(limited)
	stop()
	cancel(nil)
	wg.Wait()
	if ctx.Err() != nil && err != nil {
		out.close()
		return
	}
	if err != nil && why != nil && !errors.Is(why, context.Canceled) {
		err = l.interrupted(why, err)
	}
	l.finishBuild(ctx, j, res, err, out)
}

// interrupted says why a build was ended from outside.
func (l *Loops) interrupted(why, err error) error {
	if errors.Is(why, errLate) {
		return &stead.Error{Kind: stead.KindLimit, Msg: "the build took longer than " + l.set.Limits.Time.String(),
			Hint: "make it shorter, or ask the operator for a longer limit", Err: err}
	}
	return &stead.Error{Kind: stead.KindConflict, Msg: "the build was canceled", Hint: "push again to build anew", Err: why}
}

// keep renews the claim until ctx ends, and ends the build when it is lost.
func (l *Loops) keep(ctx context.Context, id stead.ID, cancel context.CancelCauseFunc) {
	for pause(ctx, l.set.BuildTTL/6) {
		err := l.d.Platform.KeepBuild(ctx, id, l.set.Holder, l.set.BuildTTL)
		if stead.KindOf(err) == stead.KindConflict || stead.KindOf(err) == stead.KindNotFound {
			cancel(errTaken)
			return
		}
		l.logged(ctx, "claim not renewed", err, "build", id)
	}
}

func (l *Loops) request(j platform.BuildJob, output func(string)) build.Request {
	return build.Request{
		ID: j.Build.ID, App: j.App.ID, AppName: j.App.Name, Org: j.App.OrgID, Source: j.Build.Source,
		Archive: func() (io.ReadCloser, error) { return l.d.Sources.Open(j.Build.Source.Digest) },
		Config:  j.Config, Limits: l.set.Limits, Output: output,
	}
}

func (l *Loops) finishBuild(ctx context.Context, j platform.BuildJob, res build.Result, failure error, out *output) {
	for _, line := range reasonLines(failure) {
		out.add(line)
	}
	for _, s := range res.Stages {
		l.log.Info("build stage", "build", j.Build.ID, "stage", s.Name, "seconds", s.Seconds)
	}
	out.close()
	outcome := platform.BuildOutcome{Pack: res.Plan.Pack, Image: res.Image, Wishes: res.Plan.Wishes, Stages: res.Stages}
	for {
		_, err := l.d.Platform.FinishBuild(ctx, j.Build.ID, l.set.Holder, outcome, reasonOf(failure))
		final := err == nil || stead.KindOf(err) == stead.KindConflict || stead.KindOf(err) == stead.KindNotFound
		if !final {
			l.logged(ctx, "build end not recorded", err, "build", j.Build.ID)
			if pause(ctx, time.Second) {
				continue
			}
			return // the claim runs out, and the build is done again
		}
		break
	}
	l.seal(ctx, logs.BuildStream(j.Build.ID))
	hint(l.collect)
}

// reasonOf keeps what a person can act on, and hides what only the log explains.
func reasonOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*stead.Error](err); ok {
		return err
	}
	return &stead.Error{Kind: stead.KindUnavailable, Msg: "the platform could not build it: " + err.Error(),
		Hint: "push again; if it stays, tell the operator", Err: err}
}

func reasonLines(err error) []string {
	if err == nil {
		return nil
	}
	e, _ := errors.AsType[*stead.Error](reasonOf(err))
	out := []string{""}
	for _, line := range strings.Split(strings.TrimSpace(e.Msg), "\n") {
		out = append(out, " !     "+line)
	}
	if e.Hint != "" {
		out = append(out, " !     "+e.Hint)
	}
	return out
}

// output writes a build's lines to its stream, in bunches: the builder waits
// for the disk only when it is far ahead of it.
type output struct {
	lines chan logs.Line
	end   chan struct{} // closed: no more lines are taken
	done  chan struct{} // closed: all are written
	name  string
}

const outputAhead = 4096

func (l *Loops) newOutput(ctx context.Context, j platform.BuildJob) *output {
	o := &output{lines: make(chan logs.Line, outputAhead), end: make(chan struct{}), done: make(chan struct{}), name: "build." + strconv.Itoa(j.Build.Number)}
	stream := logs.BuildStream(j.Build.ID)
	if l.hasLines(ctx, stream) {
		o.add("-----> Starting again: the platform was restarted")
	}
	go func() { // ends with close
		defer close(o.done)
		l.write(context.WithoutCancel(ctx), stream, o)
	}()
	return o
}

func (l *Loops) hasLines(ctx context.Context, stream string) bool {
	for _, err := range l.d.Logs.Tail(ctx, stream, logs.Query{Num: 1}) {
		return err == nil
	}
	return false
}

// write appends the lines of o until it is closed.
func (l *Loops) write(ctx context.Context, stream string, o *output) {
	for {
		var bunch []logs.Line
		select {
		case line := <-o.lines:
			bunch = append(bunch, line)
		case <-o.end:
			if len(o.lines) == 0 {
				return
			}
		}
		for len(o.lines) > 0 && len(bunch) < 512 {
			bunch = append(bunch, <-o.lines)
		}
		l.logged(ctx, "build output not written", l.d.Logs.Append(ctx, stream, bunch...), "stream", stream)
	}
}

// add takes a line, or several; those that come after close are dropped.
func (o *output) add(text string) {
	for text := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		select {
		case <-o.end:
			return
		case o.lines <- logs.Line{At: time.Now(), Source: "build", Process: o.name, Text: strings.ToValidUTF8(text, "\ufffd")}:
		}
	}
}

// close returns when all lines are written.
func (o *output) close() {
	close(o.end)
	<-o.done
}

// runCollect removes images that no release needs any more.
func (l *Loops) runCollect(ctx context.Context) error {
	for {
		t := time.NewTimer(l.set.Collect)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		case <-l.collect:
			t.Stop()
			if !pause(ctx, min(l.set.Collect, 30*time.Second)) { // the release it became starts first
				return nil
			}
		}
		l.collectOnce(ctx)
	}
}

func (l *Loops) collectOnce(ctx context.Context) {
	keep, err := l.d.Platform.KeptImages(ctx)
	if !l.logged(ctx, "kept images not read", err) {
		return
	}
	type collector interface {
		Collect(ctx context.Context, keep []string) (int64, error)
	}
	parts := map[string]any{"builder": l.d.Builder}
	for region, e := range l.d.Engines {
		parts["engine "+region] = e
	}
	for name, part := range parts {
		if c, ok := part.(collector); ok {
			freed, err := c.Collect(ctx, keep)
			if l.logged(ctx, "not collected", err, "part", name) && freed > 0 {
				l.log.Info("collected", "part", name, "freed", fmt.Sprint(freed))
			}
		}
	}
}
