package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

func exited(s engine.Status) bool { return s.State == engine.StateExited }

func testTask(f *fixture) {
	w := f.task("task", "echo", "once")
	f.apply(w)
	s := f.first(w, "the end", exited)
	if s.Name != "run.7" || s.ExitCode == nil || *s.ExitCode != 0 || s.Restarts != 0 {
		f.t.Errorf("status of a task's end: %+v", s)
	}
	f.apply(w) // must not run it again
	f.output(w, 1)
	f.delete(w)
	f.gone(w)
	last := f.task("last", "echo", "x")
	f.apply(last)
	f.first(last, "the end of another", exited)
	if lines := f.kept(w); len(lines) != 1 || lines[0] != "once" {
		f.t.Errorf("a task that runs once wrote %q", lines)
	}
}

// kept returns the lines that the workload's log holds now.
func (f *fixture) kept(w engine.Workload) (texts []string) {
	for l := range f.lines.Tail(f.t.Context(), w.LogStream, tailAll) {
		texts = append(texts, l.Text)
	}
	return texts
}

func testTaskFails(f *fixture) {
	w := f.task("fails", "exit", "42")
	f.apply(w)
	s := f.first(w, "the end", exited)
	if s.ExitCode == nil || *s.ExitCode != 42 || s.Cause != engine.CauseExit || s.Reason == "" {
		f.t.Errorf("status of a task that failed: %+v", s)
	}
}

func testLogs(f *fixture) {
	const n = 2000
	w := f.task("logs", "print", fmt.Sprint(n), "line")
	f.apply(w)
	var pos int64
	for i, l := range f.output(w, n) {
		if want := fmt.Sprint("line ", i); l.Text != want || l.Process != "run.7" || l.Stream != "" || l.At.IsZero() {
			f.t.Fatalf("line %d is %+v, want %q of run.7", i, l, want)
		}
		if l.Pos <= pos || l.Origin == "" {
			f.t.Fatalf("line %d has position %d in %q, after %d", i, l.Pos, l.Origin, pos)
		}
		pos = l.Pos
	}
	c := f.task("complain", "complain", "oh", "no")
	f.apply(c)
	if l := f.output(c, 1)[0]; l.Text != "oh no" || l.Stream != "stderr" {
		f.t.Errorf("a line of stderr is %+v", l)
	}
}

// held returns an instance that holds.
func (f *fixture) held(id string) engine.Status {
	w := f.task(id, "exit", "9") // Command is left out of account
	w.Hold = true
	f.apply(w)
	return f.up(w, 1)[0]
}

func (f *fixture) exec(instance string, c engine.Command, stdin io.Reader) (out, errs string, code int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.h.Timeout)
	defer cancel()
	var o, e bytes.Buffer
	code, err := f.e.Exec(ctx, instance, c, engine.Streams{Stdin: stdin, Stdout: &o, Stderr: &e})
	if err != nil {
		f.t.Fatalf("exec %q: %v", c.Args, err)
	}
	return o.String(), e.String(), code
}

func app(args ...string) engine.Command {
	return engine.Command{Args: append([]string{TestApp}, args...)}
}

func testHoldExec(f *fixture) {
	s := f.held("hold")
	in := strings.Repeat("stdin to stdout\n", 10_000)
	if out, _, code := f.exec(s.Instance, app("cat"), strings.NewReader(in)); out != in || code != 0 {
		f.t.Errorf("cat gave %d of %d bytes, code %d", len(out), len(in), code)
	}
	if out, _, _ := f.exec(s.Instance, app("cat"), nil); out != "" {
		f.t.Errorf("cat without stdin gave %q", out)
	}
	if out, errs, _ := f.exec(s.Instance, app("complain", "hm"), nil); out != "" || errs != "hm\n" {
		f.t.Errorf("stdout %q, stderr %q", out, errs)
	}
	c := app("env")
	c.Env = stead.Config{"EXTRA": "more"}
	out, _, _ := f.exec(s.Instance, c, nil)
	for _, want := range []string{"EXTRA=more", "GREETING=hi"} {
		if !slices.Contains(strings.Split(out, "\n"), want) {
			f.t.Errorf("%s is not in the environment:\n%s", want, out)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now[s.Instance]; now.State != engine.StateUp {
		f.t.Errorf("after exec the instance is %s", now.State)
	}
}

func testExecExitCode(f *fixture) {
	s := f.held("code")
	for _, want := range []int{0, 1, 77} {
		if _, _, code := f.exec(s.Instance, app("exit", fmt.Sprint(want)), nil); code != want {
			f.t.Errorf("exit code %d, want %d", code, want)
		}
	}
}

func testExecCancel(f *fixture) {
	s := f.held("cancel")
	ctx, cancel := context.WithCancel(f.t.Context())
	r, w := io.Pipe()
	defer w.Close()
	out := &signalWriter{wrote: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = f.e.Exec(ctx, s.Instance, app("cat"), engine.Streams{Stdin: r, Stdout: out})
	}()
	if _, err := io.WriteString(w, "it runs\n"); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-out.wrote:
	case <-time.After(f.h.Timeout):
		f.t.Fatal("the command did not answer")
	}
	cancel()
	select {
	case <-done:
	case <-time.After(f.h.Timeout):
		f.t.Fatal("exec did not end with its context")
	}
}

type signalWriter struct{ wrote chan struct{} }

func (s *signalWriter) Write(b []byte) (int, error) {
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func testExecUnknown(f *fixture) {
	_, err := f.e.Exec(f.t.Context(), f.prefix+"-none-1", app("env"), engine.Streams{})
	if stead.KindOf(err) != stead.KindNotFound {
		f.t.Errorf("exec in an unknown instance: %v", err)
	}
	w := f.task("ended", "exit", "0")
	f.apply(w)
	s := f.first(w, "the end", exited)
	if _, err := f.e.Exec(f.t.Context(), s.Instance, app("env"), engine.Streams{}); err == nil {
		f.t.Error("exec in an ended instance succeeded")
	}
}

func testContextEnds(f *fixture) {
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	synced := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range f.e.Watch(ctx) {
			if s.Synced {
				close(synced)
			}
		}
	}()
	<-synced
	cancel()
	select {
	case <-ended:
	case <-time.After(f.h.Timeout):
		f.t.Fatal("watch did not end with its context")
	}
	w := f.workload("late", "web")
	if f.e.Apply(ctx, w) == nil {
		f.t.Error("apply with an ended context was accepted")
	}
}
