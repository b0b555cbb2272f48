package platform

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

// raise runs a workload in the engine and reports its instance, as the loops do.
func (w *world) raise(a stead.App, wl engine.Workload) string {
	w.t.Helper()
	wl.App, wl.Replicas, wl.FirstIndex, wl.Release = a.ID, 1, max(1, wl.FirstIndex), 1
	check(w.t, w.engine.Apply(w.t.Context(), wl))
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	for st, err := range w.engine.Watch(ctx) {
		check(w.t, err)
		if st.Workload == wl.ID && st.State == engine.StateUp {
			check(w.t, w.ReportInstances(w.system, a.ID, []stead.Instance{{Name: st.Name, Process: wl.Process, Release: 1,
				State: stead.InstanceUp, Region: "default", Since: st.Since, Ref: st.Instance}}))
			return st.Instance
		}
	}
	w.t.Fatal("the instance did not come up")
	return ""
}

func TestAttachTask(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	_, err := w.Run(w.admin, "hello", NewTask{Command: stead.Command{"ls"}})
	wantKind(t, "run before the first release", err, stead.KindPrecondition)
	w.live("hello", "web")
	task, err := w.Run(w.admin, "hello", NewTask{Command: stead.Command{"exit", "7"}, Attached: true})
	check(t, err)
	go w.raise(a, engine.Workload{ID: "task-" + string(task.ID), Process: "run", FirstIndex: 1, Task: true, Hold: true})
	code, err := w.AttachTask(w.admin, "hello", task.Name, engine.Streams{})
	check(t, err)
	got, err := w.Task(w.admin, "hello", task.Name)
	check(t, err)
	if code != 7 || got.State != stead.TaskFailed || got.ExitCode == nil || *got.ExitCode != 7 || got.FinishedAt == nil {
		t.Errorf("code %d, task %+v", code, got)
	}
	_, err = w.AttachTask(w.admin, "hello", task.Name, engine.Streams{})
	wantKind(t, "attach again", err, stead.KindPrecondition)
	check(t, w.FinishTask(w.system, task.ID, ptr(0), "late"))
	if again, err := w.Task(w.admin, "hello", task.Name); err != nil || again.State != stead.TaskFailed {
		t.Errorf("a repeat changed the end: %+v %v", again, err)
	}
	want := []string{"task.create", "task.attach", "task.start", "task.finish"}
	if d := cmp.Diff(want, w.verbs("task.")); d != "" {
		t.Error(d)
	}
}

func TestAttachEndsWithItsClient(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	task, err := w.Run(w.admin, "hello", NewTask{Command: stead.Command{"sleep", "60"}, Attached: true})
	check(t, err)
	w.raise(a, engine.Workload{ID: "task-" + string(task.ID), Process: "run", FirstIndex: 1, Task: true, Hold: true})
	ctx, cancel := context.WithCancel(w.admin)
	wake, stop := w.Wakes(TopicTasks)
	defer stop()
	ended := make(chan error, 1)
	go func() { _, err := w.AttachTask(ctx, "hello", task.Name, engine.Streams{}); ended <- err }()
	for {
		<-wake
		if got, err := w.Task(w.admin, "hello", task.Name); err == nil && got.State == stead.TaskRunning {
			break
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	got, err := w.Task(w.admin, "hello", task.Name)
	check(t, err)
	if got.State != stead.TaskFailed || got.Reason != "its client went away" {
		t.Errorf("task: %+v", got)
	}
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	_, err := w.Exec(w.admin, "hello", "", engine.Command{Args: []string{"cat"}}, engine.Streams{})
	wantKind(t, "nothing is up", err, stead.KindPrecondition)
	w.raise(a, engine.Workload{ID: "w1", Process: "web"})
	var out bytes.Buffer
	code, err := w.Exec(w.admin, "hello", "web.1", engine.Command{Args: []string{"cat"}}, engine.Streams{Stdin: strings.NewReader("hi"), Stdout: &out})
	check(t, err)
	if code != 0 || out.String() != "hi" {
		t.Errorf("code %d, output %q", code, out.String())
	}
	_, err = w.Exec(w.admin, "hello", "web.9", engine.Command{Args: []string{"cat"}}, engine.Streams{})
	wantKind(t, "unknown instance", err, stead.KindPrecondition)
	_, err = w.Exec(w.admin, "hello", "", engine.Command{Args: []string{"a\x00b"}}, engine.Streams{})
	wantKind(t, "NUL", err, stead.KindInvalid)
	if d := cmp.Diff([]string{"exec.start"}, w.verbs("exec.")); d != "" {
		t.Error(d)
	}
}

// TestExecEndsWithAccess takes the role away while a command runs.
func TestExecEndsWithAccess(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	w.raise(a, engine.Workload{ID: "w1", Process: "web"})
	dev := w.person("dev@example.com")
	_, err := w.SetMember(w.admin, "", "", "dev@example.com", stead.RoleDeveloper)
	check(t, err)
	wake, stop := w.Wakes(TopicEvents)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := w.Exec(dev, "hello", "", engine.Command{Args: []string{"sleep", "60"}}, engine.Streams{})
		ended <- err
	}()
	for len(w.verbs("exec.")) == 0 {
		<-wake
	}
	check(t, w.RemoveMember(w.admin, "", "", "dev@example.com"))
	select {
	case err := <-ended:
		wantKind(t, "exec of a removed member", err, stead.KindNotFound)
	case <-time.After(20 * time.Second):
		t.Fatal("the command goes on")
	}
}

func TestTaskLimits(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	w.live("hello", "web")
	for what, n := range map[string]NewTask{
		"nothing": {}, "NUL": {Command: stead.Command{"a\x00"}}, "size": {Command: stead.Command{"a"}, Size: "huge"},
		"env": {Command: stead.Command{"a"}, Env: stead.Config{"PORT": "1"}}, "long": {Command: stead.Command{strings.Repeat("x", maxCommand+1)}},
	} {
		_, err := w.Run(w.admin, "hello", n)
		wantKind(t, what, err, stead.KindInvalid)
	}
	var err error
	for range maxOpenTasks + 1 {
		_, err = w.Run(w.admin, "hello", NewTask{Command: stead.Command{"a"}, Env: stead.Config{"TOKEN": "x"}})
	}
	wantKind(t, "too many tasks", err, stead.KindLimit)
	all, err := w.Tasks(w.admin, "hello")
	check(t, err)
	if all[0].Env != nil {
		t.Error("a list of tasks shows their environment")
	}
	check(t, w.StopTask(w.admin, "hello", all[0].Name))
	wantKind(t, "stop twice", w.StopTask(w.admin, "hello", all[0].Name), stead.KindPrecondition)
}

func collect(t *testing.T, seq func(func(logs.Line, error) bool)) (text []string, last error) {
	t.Helper()
	for l, err := range seq {
		if err != nil {
			return text, err
		}
		text = append(text, l.Text)
	}
	return text, nil
}

func TestBuildOutput(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	b := w.push("hello")
	stream := logs.BuildStream(b.ID)
	check(t, w.logs.Append(t.Context(), stream, logs.Line{Source: "build", Text: "one"}))
	seq, err := w.BuildOutput(w.admin, "hello", 1, true)
	check(t, err)
	check(t, w.logs.Append(t.Context(), stream, logs.Line{Source: "build", Text: "two"}))
	_, err = w.CancelBuild(w.admin, "hello", 1) // nobody seals the stream: it ends all the same
	check(t, err)
	text, err := collect(t, seq)
	check(t, err)
	if d := cmp.Diff([]string{"one", "two"}, text); d != "" {
		t.Error(d)
	}
}

// TestLogsEndWithAccess revokes the token of a follower.
func TestLogsEndWithAccess(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	tok, err := w.CreateToken(w.admin, "x", stead.ScopeRead, 0)
	check(t, err)
	check(t, w.logs.Append(t.Context(), logs.AppStream(a.ID), logs.Line{Source: "app", Text: "one"}))
	seq, err := w.Logs(w.login(tok.Secret), "hello", logs.Query{Num: 10, Follow: true})
	check(t, err)
	check(t, w.RevokeToken(w.admin, tok.ID))
	_, err = collect(t, seq)
	wantKind(t, "follower without a token", err, stead.KindUnauthenticated)
}

func TestReportInstances(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	i := stead.Instance{Name: "web.1", Process: "web", Release: 1, State: stead.InstanceUp, Since: w.now(), Ref: "e1"}
	report := func(i ...stead.Instance) { t.Helper(); check(t, w.ReportInstances(w.system, a.ID, i)) }
	report(i)
	i.State, i.Reason, i.ExitCode = stead.InstanceCrashed, "exit status 1", ptr(1)
	report(i)
	report(i)
	i.Restarts++
	report(i)
	if n := len(w.verbs("instance.crash")); n != 2 {
		t.Errorf("%d crashes recorded, want 2", n)
	}
	j := i
	j.Ref, j.Release = "e2", 2
	report(j, i)
	got, err := w.Instances(w.admin, "hello")
	check(t, err)
	if len(got) != 2 || got[0].Ref != "e1" || got[0].ExitCode == nil || got[0].Reason != "exit status 1" {
		t.Errorf("instances: %+v", got)
	}
	report()
	if got, err = w.Instances(w.admin, "hello"); err != nil || len(got) != 0 {
		t.Errorf("instances: %+v %v", got, err)
	}
	check(t, w.ReportInstances(w.system, stead.NewID(time.Now()), []stead.Instance{i})) // of a forgotten app
}

func TestScale(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web", "worker")
	got, err := w.Scale(w.admin, "hello", []stead.Scale{{Type: "web", Op: "+", Count: 2}, {Type: "worker", Op: "=", Count: 1, Size: "nano"}})
	check(t, err)
	if got[0].Quantity != 3 || got[1].Quantity != 1 || got[1].Size != "nano" {
		t.Errorf("processes: %+v", got)
	}
	before := len(w.verbs("process."))
	_, err = w.Scale(w.admin, "hello", []stead.Scale{{Type: "web", Op: "=", Count: 3}})
	check(t, err)
	if len(w.verbs("process.")) != before {
		t.Error("no change made an event")
	}
	for what, c := range map[string]stead.Scale{
		"too many": {Type: "web", Op: "=", Count: 501}, "too few": {Type: "web", Op: "-", Count: 9}, "size": {Type: "web", Op: "=", Count: 1, Size: "x"},
		"negative": {Type: "web", Op: "-", Count: -5},
	} {
		_, err := w.Scale(w.admin, "hello", []stead.Scale{{Type: "worker", Op: "=", Count: 5}, c})
		wantKind(t, what, err, stead.KindInvalid)
	}
	_, err = w.Scale(w.admin, "hello", []stead.Scale{{Type: "release", Op: "=", Count: 1}})
	wantKind(t, "unknown process", err, stead.KindNotFound)
	if in := w.intent(a.ID); in.Processes[1].Quantity != 1 {
		t.Errorf("a refused change was half done: %+v", in.Processes)
	}
	for what, patch := range map[string]ProcessPatch{
		"path": {Path: ptr("up")}, "boot limit": {BootLimit: ptr(stead.Seconds(0))}, "grace": {StopGrace: ptr(stead.Seconds(9999))}, "size": {Size: ptr("x")},
	} {
		_, err := w.UpdateProcess(w.admin, "hello", "web", patch)
		wantKind(t, what, err, stead.KindInvalid)
	}
	p, err := w.UpdateProcess(w.admin, "hello", "web", ProcessPatch{Path: ptr("/up"), BootLimit: ptr(stead.Seconds(5))})
	check(t, err)
	if p.Health.Path != "/up" || p.Health.BootLimit != 5 || p.Quantity != 3 {
		t.Errorf("process: %+v", p)
	}
}

func TestPushRefuses(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	for what, src := range map[string]stead.Source{
		"kind": {}, "digest": {Kind: stead.SourceArchive, Digest: "sha256:../../etc/passwd"}, "image": {Kind: stead.SourceImage, Image: "-v /:/host"},
		"commit": {Kind: stead.SourceImage, Image: "nginx", Commit: "--upload-pack=x"},
	} {
		_, err := w.Push(w.admin, "hello", src)
		wantKind(t, what, err, stead.KindInvalid)
	}
	_, err := w.Push(w.admin, "hello", stead.Source{Kind: stead.SourceArchive, Digest: "sha256:" + strings.Repeat("0", 64)})
	wantKind(t, "source that is not there", err, stead.KindNotFound)
}
