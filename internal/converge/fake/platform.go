// Package fake is the part of the platform that loops and ingresses use, kept
// in memory, for their tests.
package fake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// Platform keeps apps, builds and releases in memory. Every actor may do everything.
type Platform struct {
	Logs interface {
		logs.Appender
		logs.Tailer
	}
	Fault func(call string) error // returns an error to fail a call with, if set

	mu        sync.Mutex
	apps      []*app
	sources   map[string][]byte
	tasks     map[stead.ID]*platform.TaskJob
	Instances map[stead.ID][]stead.Instance
	wakes     map[chan struct{}]bool
}

type app struct {
	platform.Intent
	builds   []*stead.Build
	releases []*platform.ReleaseSpec
	config   stead.Config
}

// New returns a platform without apps.
func New() *Platform {
	return &Platform{sources: map[string][]byte{}, tasks: map[stead.ID]*platform.TaskJob{},
		Instances: map[stead.ID][]stead.Instance{}, wakes: map[chan struct{}]bool{}}
}

// Create makes an app with one route.
func (p *Platform) Create(name string) stead.App {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &app{config: stead.Config{}}
	a.App = stead.App{ID: stead.NewID(time.Now()), Name: name, Space: "default", Region: "default", URL: "http://" + name + ".test"}
	a.Routes = []stead.Route{{ID: stead.NewID(time.Now()), AppID: a.App.ID, Host: name + ".test", Path: "/", Process: "web"}}
	p.apps = append(p.apps, a)
	p.wake()
	return a.App
}

// Change changes an app's intent.
func (p *Platform) Change(id stead.ID, f func(in *platform.Intent)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.find(string(id)); a != nil {
		f(&a.Intent)
		a.Intent.Change++
	}
	p.wake()
}

// Release makes a release of an image the target.
func (p *Platform) Release1(id stead.ID, img stead.Image) *platform.ReleaseSpec {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.release(p.find(string(id)), img)
}

func (p *Platform) release(a *app, img stead.Image) *platform.ReleaseSpec {
	r := &platform.ReleaseSpec{Config: a.config}
	r.Release = stead.Release{ID: stead.NewID(time.Now()), AppID: a.App.ID, Version: len(a.releases) + 1, State: stead.ReleasePending, Image: img, CreatedAt: time.Now()}
	if t := a.Target; t != nil && a.Live != nil && t.ID != a.Live.ID || t != nil && a.Live == nil {
		p.spec(t.ID).State = stead.ReleaseSuperseded
	}
	a.releases = append(a.releases, r)
	a.Target = r
	a.Change++
	p.wake()
	return r
}

func (p *Platform) find(ref string) *app {
	for _, a := range p.apps {
		if string(a.App.ID) == ref || a.App.Name == ref {
			return a
		}
	}
	return nil
}

func (p *Platform) spec(id stead.ID) *platform.ReleaseSpec {
	for _, a := range p.apps {
		for _, r := range a.releases {
			if r.ID == id {
				return r
			}
		}
	}
	return &platform.ReleaseSpec{}
}

func (p *Platform) wake() {
	for c := range p.wakes {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (p *Platform) fault(call string) error {
	if p.Fault == nil {
		return nil
	}
	return p.Fault(call)
}

// Wakes implements the platform; every change wakes every topic.
func (p *Platform) Wakes(platform.Topic) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakes[c] = true
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wakes, c)
	}
}

// Intents returns copies.
func (p *Platform) Intents(context.Context) ([]platform.Intent, error) {
	if err := p.fault("Intents"); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []platform.Intent
	for _, a := range p.apps {
		in := a.Intent
		in.Processes = append([]stead.Process(nil), in.Processes...)
		in.Live, in.Target = clone(in.Live), clone(in.Target)
		out = append(out, in)
	}
	return out, nil
}

func clone(r *platform.ReleaseSpec) *platform.ReleaseSpec {
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

func (p *Platform) MarkRelease(_ context.Context, id stead.ID, state stead.ReleaseState) error {
	return p.target("MarkRelease", id, func(a *app) { p.spec(id).State = state })
}

// target changes the app of which the release is the target.
func (p *Platform) target(call string, id stead.ID, f func(a *app)) error {
	if err := p.fault(call); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		if a.Target != nil && a.Target.ID == id {
			f(a)
			a.Change++
			p.wake()
			return nil
		}
	}
	return stead.Conflict("not the target", "")
}

func (p *Platform) ReleaseLive(_ context.Context, id stead.ID) error {
	return p.target("ReleaseLive", id, func(a *app) {
		if a.Live != nil {
			a.Live.State = stead.ReleaseSuperseded
		}
		r := p.spec(id)
		now := time.Now()
		r.State, r.LiveAt = stead.ReleaseLive, &now
		a.Live, a.Target = r, nil
	})
}

func (p *Platform) ReleaseFailed(_ context.Context, id stead.ID, reason string) error {
	return p.target("ReleaseFailed", id, func(a *app) {
		r := p.spec(id)
		r.State, r.Reason = stead.ReleaseFailed, reason
		a.Target = nil
	})
}

func (p *Platform) ForgetApp(_ context.Context, id stead.ID) error {
	if err := p.fault("ForgetApp"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range p.apps {
		if a.App.ID == id {
			p.apps = append(p.apps[:i:i], p.apps[i+1:]...)
			break
		}
	}
	return nil
}

func (p *Platform) ReportInstances(_ context.Context, id stead.ID, all []stead.Instance) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Instances[id] = all
	return nil
}

func (p *Platform) ReportDone(_ context.Context, id stead.ID, routed, settled int) error {
	if err := p.fault("ReportDone"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.find(string(id)); a != nil {
		a.Routed, a.Settled = routed, settled
	}
	return nil
}

// Settled reports whether the loops say that all changes of the app are
// carried out.
func (p *Platform) Settled(id stead.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.find(string(id))
	return a != nil && a.Intent.Routed == a.Change && a.Intent.Settled == a.Change
}

// AddTask opens a task of the app's live release.
func (p *Platform) AddTask(id stead.ID, t stead.Task) stead.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.find(string(id))
	t.ID, t.AppID, t.State, t.CreatedAt = stead.NewID(time.Now()), id, stead.TaskPending, time.Now()
	p.tasks[t.ID] = &platform.TaskJob{Task: t, App: a.App, Release: *a.Live}
	p.wake()
	return t.ID
}

// Task1 returns a task.
func (p *Platform) Task1(id stead.ID) stead.Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tasks[id].Task
}

func (p *Platform) OpenTasks(context.Context) ([]platform.TaskJob, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []platform.TaskJob
	for _, t := range p.tasks {
		if !t.Task.State.Done() {
			out = append(out, *t)
		}
	}
	return out, nil
}

func (p *Platform) ReleaseTask(_ context.Context, id stead.ID) (stead.Task, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		if t.Release.ID == id && t.Task.By == "release" {
			return t.Task, nil
		}
	}
	r := p.spec(id)
	t := &platform.TaskJob{Release: *r, App: p.find(string(r.AppID)).App}
	t.Task = stead.Task{ID: stead.NewID(time.Now()), AppID: r.AppID, Name: fmt.Sprintf("release.%d", r.Version), By: "release",
		Command: r.Image.Processes[stead.ProcessRelease], State: stead.TaskPending, CreatedAt: time.Now()}
	p.tasks[t.Task.ID] = t
	p.wake()
	return t.Task, nil
}

func (p *Platform) StartTask(_ context.Context, id stead.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks[id].Task.State = stead.TaskRunning
	return nil
}

func (p *Platform) FinishTask(_ context.Context, id stead.ID, exit *int, reason string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.tasks[id].Task
	t.State, t.ExitCode, t.Reason = stead.TaskFailed, exit, reason
	if exit != nil && *exit == 0 {
		t.State = stead.TaskSucceeded
	}
	p.wake()
	return nil
}

func (p *Platform) KeptImages(context.Context) ([]string, error) { return nil, nil }

// Put and Open keep sources.
func (p *Platform) Put(_ context.Context, r io.Reader, _ int64) (string, int64, error) {
	b, err := io.ReadAll(r)
	sum := sha256.Sum256(b)
	d := "sha256:" + hex.EncodeToString(sum[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources[d] = b
	return d, int64(len(b)), err
}

func (p *Platform) Open(digest string) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return io.NopCloser(bytes.NewReader(p.sources[digest])), nil
}

func (p *Platform) BuildOutput(ctx context.Context, ref string, number int, follow bool) (iter.Seq2[logs.Line, error], error) {
	b, err := p.Build(ctx, ref, number)
	return p.Logs.Tail(ctx, logs.BuildStream(b.ID), logs.Query{Num: -1, Follow: follow}), err
}

func (p *Platform) ReleaseOutput(ctx context.Context, ref string, version int, follow bool) (iter.Seq2[logs.Line, error], error) {
	r, err := p.Release(ctx, ref, version)
	return p.Logs.Tail(ctx, logs.ReleaseStream(r.ID), logs.Query{Num: -1, Follow: follow}), err
}
