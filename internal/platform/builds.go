package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// MaxSource is the largest archive of a source, in bytes.
const MaxSource = 1 << 30

const (
	maxListed     = 1000 // builds, releases or tasks in one list; the newest
	maxOpenBuilds = 20   // of one app, queued or running
	maxClaims     = 3    // of one build, before it is given up
	maxProcesses  = 50   // of one image
)

// Push queues a build of the source and returns it. Builds of one app run one
// after the other, so that releases come in the order of the pushes.
func (p *Platform) Push(ctx context.Context, ref string, src stead.Source) (b stead.Build, err error) {
	if err := p.view(ctx, func(w *work) error { _, err := w.app(ref, stead.ActWrite); return err }); err != nil {
		return b, err // before anything is said of the source
	}
	if err := p.checkSource(&src); err != nil {
		return b, err
	}
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		open, err := w.OpenBuilds(a.ID)
		if err != nil {
			return err
		}
		if len(open) >= maxOpenBuilds {
			return &stead.Error{Kind: stead.KindLimit, Msg: "20 builds of the app are waiting already", Hint: "wait for them, or cancel some"}
		}
		a.Builds++
		b = stead.Build{ID: stead.NewID(w.now), AppID: a.ID, App: a.Name, Number: a.Builds, State: stead.BuildQueued,
			Source: src, By: w.actor.Email, CreatedAt: w.now}
		if err := w.SaveApp(a); err != nil {
			return err
		}
		if err := w.InsertBuild(store.Build{Build: b}); err != nil {
			return err
		}
		w.wake(TopicBuilds)
		return w.event("build.create", &a, map[string]any{"build": b.Number, "kind": src.Kind, "commit": src.Commit, "digest": src.Digest, "image": src.Image})
	})
	return b, err
}

// Builds returns an app's newest builds, newest first.
func (p *Platform) Builds(ctx context.Context, ref string) (out []stead.Build, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		all, err := w.Builds(a.ID, maxListed)
		for _, b := range all {
			out = append(out, b.Build)
		}
		return err
	})
	return out, err
}

// Build returns an app's build of that number.
func (p *Platform) Build(ctx context.Context, ref string, number int) (b stead.Build, err error) {
	err = p.view(ctx, func(w *work) error {
		_, v, err := w.build(ref, number, stead.ActRead)
		b = v.Build
		return err
	})
	return b, err
}

func (w *work) build(ref string, number int, act stead.Action) (store.App, store.Build, error) {
	a, err := w.app(ref, act)
	if err != nil {
		return a, store.Build{}, err
	}
	b, err := w.Build(a.ID, number)
	return a, b, orElse(err, stead.NotFound("build", fmt.Sprint(number)))
}

// CancelBuild ends a build that is not done.
func (p *Platform) CancelBuild(ctx context.Context, ref string, number int) (out stead.Build, err error) {
	err = p.change(ctx, func(w *work) error {
		a, b, err := w.build(ref, number, stead.ActWrite)
		if err != nil {
			return err
		}
		if b.State.Done() {
			return stead.Precondition(fmt.Sprintf("build %d has %s already", number, b.State), "nothing is left to cancel")
		}
		b.State, b.Reason, b.FinishedAt = stead.BuildCanceled, "canceled by "+w.actor.Email, &w.now
		if err := w.SaveBuild(b); err != nil {
			return err
		}
		out = b.Build
		w.wake(TopicBuilds)
		return w.event("build.cancel", &a, map[string]any{"build": number})
	})
	return out, err
}

// BuildJob is a claimed build with what it needs.
type BuildJob struct {
	Build  stead.Build
	App    stead.App
	Config stead.Config
}

// BuildOutcome is what a build made.
type BuildOutcome struct {
	Pack   string
	Image  stead.Image
	Wishes stead.Wishes // what the source's descriptors ask for
	Stages []stead.Stage
}

// ClaimBuild takes the next queued build (orgs have a fair share of what runs), or a running one whose claim ran
// out (its platform died), for holder; renew by KeepBuild within ttl. nil: none.
// A build that outlived three claims is failed: it seems to be what kills.
func (p *Platform) ClaimBuild(ctx context.Context, holder string, ttl time.Duration) (job *BuildJob, err error) {
	if none, err := p.nothingToBuild(ctx); err != nil || none {
		return nil, err
	}
	err = p.change(ctx, func(w *work) error {
		job = nil
		for {
			b, err := w.NextBuild(w.now)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			a, err := w.AppByID(b.AppID)
			if err != nil {
				return err
			}
			if b.Attempts >= maxClaims {
				if err := w.endBuild(a, b, "the platform stopped three times while building it", BuildOutcome{}); err != nil {
					return err
				}
				continue
			}
			job, err = w.claim(a, b, holder, ttl)
			return err
		}
	})
	return job, err
}

// nothingToBuild looks without taking the writers' turn.
func (p *Platform) nothingToBuild(ctx context.Context) (none bool, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		_, err := w.NextBuild(w.now)
		none = errors.Is(err, store.ErrNotFound)
		return orElse(err, nil)
	})
	return none, err
}

func (w *work) claim(a store.App, b store.Build, holder string, ttl time.Duration) (*BuildJob, error) {
	b.State, b.Holder, b.Until, b.Attempts = stead.BuildRunning, holder, w.now.Add(ttl), b.Attempts+1
	if b.StartedAt == nil {
		b.StartedAt = &w.now
	}
	if err := w.SaveBuild(b); err != nil {
		return nil, err
	}
	config, err := w.p.unseal(a.ID, a.Config)
	if err != nil {
		return nil, err
	}
	return &BuildJob{Build: b.Build, App: w.p.show(a), Config: config},
		w.event("build.start", &a, map[string]any{"build": b.Number, "attempt": b.Attempts})
}

// KeepBuild extends the claim; it fails with KindConflict if the build was
// canceled or taken over.
func (p *Platform) KeepBuild(ctx context.Context, id stead.ID, holder string, ttl time.Duration) error {
	return p.change(ctx, func(w *work) error {
		_, b, err := w.held(id, holder)
		if err != nil {
			return err
		}
		if b.State != stead.BuildRunning {
			return stead.Conflict(fmt.Sprintf("the build is %s", b.State), "stop building it")
		}
		b.Until = w.now.Add(ttl)
		return w.SaveBuild(b)
	})
}

func (w *work) held(id stead.ID, holder string) (a store.App, b store.Build, err error) {
	if err := w.system(); err != nil {
		return a, b, err
	}
	if b, err = w.BuildByID(id); err != nil {
		return a, b, orElse(err, stead.Conflict("the build is gone, with its app", "stop building it"))
	}
	if b.Holder != holder && b.State != stead.BuildCanceled {
		return a, b, stead.Conflict("the build was taken over by another platform", "stop building it")
	}
	a, err = w.AppByID(b.AppID)
	return a, b, err
}

// FinishBuild records the end of a build. With failure nil, it makes release
// N+1 from the image and wakes the rollout. A build that is done already, or was
// canceled, is returned as it is.
func (p *Platform) FinishBuild(ctx context.Context, id stead.ID, holder string, out BuildOutcome, failure error) (done stead.Build, err error) {
	reason := p.reasonOf(failure)
	if failure == nil {
		reason = checkImage(&out.Image)
	}
	err = p.change(ctx, func(w *work) error {
		a, b, err := w.held(id, holder)
		if done = b.Build; err != nil || b.State.Done() {
			return err
		}
		if reason != "" {
			err = w.endBuild(a, b, reason, out)
		} else {
			err = w.release(a, b, out)
		}
		if err != nil {
			return err
		}
		b, err = w.BuildByID(id)
		done = b.Build
		return err
	})
	return done, err
}

// reasonOf returns what people are told of a failure.
func (p *Platform) reasonOf(failure error) string {
	if failure == nil {
		return ""
	}
	e, ok := errors.AsType[*stead.Error](failure)
	if !ok {
		p.log.Error("build failed for a reason of ours", "err", failure)
		return "the platform failed while building it; try again, or ask an administrator to look into its log"
	}
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

// checkImage returns why the image cannot be released, and fills what has a
// default: an image that names no process has its own command as web.
func checkImage(i *stead.Image) string {
	if i.Ref == "" {
		return "the build made no image"
	}
	if len(i.Processes) == 0 {
		i.Processes = map[string]stead.Command{stead.ProcessWeb: nil}
	}
	if len(i.Processes) > maxProcesses {
		return "the image has more than 50 processes"
	}
	for t := range i.Processes {
		if err := stead.CheckProcessType("process", t); err != nil || t == stead.ProcessRun {
			return fmt.Sprintf("the image names a process %q, which cannot be used", t)
		}
	}
	return ""
}

func (w *work) endBuild(a store.App, b store.Build, reason string, out BuildOutcome) error {
	b.State, b.Reason, b.FinishedAt = stead.BuildFailed, reason, &w.now
	b.Pack, b.Stages = out.Pack, out.Stages
	if err := w.SaveBuild(b); err != nil {
		return err
	}
	w.wake(TopicBuilds)
	return w.event("build.finish", &a, map[string]any{"build": b.Number, "state": b.State, "reason": reason})
}

func (w *work) release(a store.App, b store.Build, out BuildOutcome) error {
	config, err := w.p.unseal(a.ID, a.Config)
	if err != nil {
		return err
	}
	b.State, b.FinishedAt, b.Release = stead.BuildSucceeded, &w.now, a.Releases+1
	b.Pack, b.Image, b.Stages = out.Pack, out.Image, out.Stages
	if err := w.SaveBuild(b); err != nil {
		return err
	}
	if err := w.event("build.finish", &a, map[string]any{"build": b.Number, "state": b.State, "release": b.Release}); err != nil {
		return err
	}
	w.wake(TopicBuilds)
	if err := w.applyWishes(&a, out.Image, out.Wishes, config); err != nil {
		return err
	}
	_, err = w.makeRelease(&a, store.Release{
		Release: stead.Release{Image: out.Image, BuildID: b.ID, Description: deployed(b), By: b.By, ConfigKeys: keysOf(config)},
		Config:  a.Config,
	})
	return err
}

func deployed(b store.Build) string {
	switch {
	case b.Source.Commit != "":
		return "Deploy " + b.Source.Commit[:7]
	case b.Source.Image != "":
		return "Deploy " + b.Source.Image
	}
	return fmt.Sprintf("Deploy build %d", b.Number)
}
