package api

import (
	"context"
	"hash/fnv"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

// resumeLines is how many of the last lines are searched for the place where
// an app's log goes on.
const resumeLines = 10_000

// output are the streams of lines.
func output(s *server) {
	type build struct {
		BuildRef
		Resume
		Follow bool `query:"follow" doc:"Go on until the build ends."`
	}
	handleStream(s, op("BuildOutput", "GET", "apps/{app}/builds/{number}/output", "A build's output, as events", done(200), streaming[stead.Line](s)),
		func(ctx context.Context, in *build) (iter.Seq2[stead.Line, error], func(stead.Line) string, error) {
			seq, err := s.p.BuildOutput(ctx, in.App, in.Number, in.Follow)
			return counted(seq, in.LastEventID, err)
		})
	type release struct {
		ReleaseRef
		Resume
		Follow bool `query:"follow" doc:"Go on until the release is live or failed."`
	}
	handleStream(s, op("ReleaseOutput", "GET", "apps/{app}/releases/{version}/output", "A release's progress, as events", done(200), streaming[stead.Line](s)),
		func(ctx context.Context, in *release) (iter.Seq2[stead.Line, error], func(stead.Line) string, error) {
			seq, err := s.p.ReleaseOutput(ctx, in.App, in.Version, in.Follow)
			return counted(seq, in.LastEventID, err)
		})
	handleStream(s, op("Logs", "GET", "apps/{app}/logs", "The app's log, as events", done(200), streaming[stead.Line](s)), s.logs)
}

// counted resumes a stream that is always read from its first line: an id is
// the number of lines so far.
func counted(seq iter.Seq2[logs.Line, error], last string, err error) (iter.Seq2[stead.Line, error], func(stead.Line) string, error) {
	if err != nil {
		return nil, nil, err
	}
	skip := 0
	if last != "" {
		if skip, err = strconv.Atoi(last); err != nil || skip < 0 {
			return nil, nil, badEventID()
		}
	}
	n := 0
	lines := func(yield func(stead.Line, error) bool) {
		for l, err := range seq {
			if n++; err == nil && n <= skip {
				continue
			}
			if !yield(line(l), err) {
				return
			}
		}
	}
	return lines, func(stead.Line) string { return strconv.Itoa(n) }, nil
}

func badEventID() error {
	return stead.Invalid("Last-Event-ID", "the event id is not one of this stream", "leave the header out to start from the beginning")
}

func line(l logs.Line) stead.Line {
	return stead.Line{At: l.At, Source: l.Source, Process: l.Process, Stream: l.Stream, Text: l.Text}
}

type logsInput struct {
	AppRef
	Resume
	Num     int    `query:"num" default:"100" minimum:"-1" maximum:"100000" doc:"How many of the last lines; -1: all that are kept."`
	Follow  bool   `query:"follow" doc:"Go on with new lines."`
	Source  string `query:"source" maxLength:"100"`
	Process string `query:"process" maxLength:"100" doc:"web.2, or web for all of them"`
}

func (s *server) logs(ctx context.Context, in *logsInput) (iter.Seq2[stead.Line, error], func(stead.Line) string, error) {
	q := logs.Query{Num: in.Num, Follow: in.Follow, Source: in.Source, Process: in.Process}
	if in.LastEventID == "" {
		seq, err := s.p.Logs(ctx, in.App, q)
		if err != nil {
			return nil, nil, err
		}
		return mapped(seq, func(stead.Line) bool { return true }), lineID, nil
	}
	at, err := lineTime(in.LastEventID)
	if err != nil {
		return nil, nil, err
	}
	q.Num = resumeLines
	known, err := s.logHas(ctx, in.App, q, in.LastEventID)
	if err != nil {
		return nil, nil, err
	}
	seq, err := s.p.Logs(ctx, in.App, q)
	if err != nil {
		return nil, nil, err
	}
	return mapped(seq, behind(in.LastEventID, known, at)), lineID, nil
}

// behind tells which lines come after the one with the id: those that stand
// behind it or, when it is no longer kept, those that are younger.
func behind(id string, known bool, at time.Time) func(stead.Line) bool {
	passed := false
	return func(l stead.Line) bool {
		switch {
		case !known:
			return l.At.After(at)
		case passed:
			return true
		}
		passed = lineID(l) == id
		return false
	}
}

func (s *server) logHas(ctx context.Context, app string, q logs.Query, id string) (bool, error) {
	q.Follow = false
	seq, err := s.p.Logs(ctx, app, q)
	if err != nil {
		return false, err
	}
	for l, err := range seq {
		if err != nil {
			return false, err
		}
		if lineID(line(l)) == id {
			return true, nil
		}
	}
	return false, nil
}

func mapped(seq iter.Seq2[logs.Line, error], want func(stead.Line) bool) iter.Seq2[stead.Line, error] {
	return func(yield func(stead.Line, error) bool) {
		for l, err := range seq {
			out := line(l)
			if err == nil && !want(out) {
				continue
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// lineID names a line of a log by its time and its content.
func lineID(l stead.Line) string {
	h := fnv.New64a()
	for _, s := range []string{l.Source, l.Process, l.Stream, l.Text} {
		_, _ = h.Write([]byte(s)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return strconv.FormatInt(l.At.UnixNano(), 10) + "-" + strconv.FormatUint(h.Sum64(), 36)
}

func lineTime(id string) (time.Time, error) {
	ns, _, ok := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ns, 10, 64)
	if !ok || err != nil {
		return time.Time{}, badEventID()
	}
	return time.Unix(0, n), nil
}
