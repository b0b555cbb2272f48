package platform

import (
	"context"
	"errors"
	"fmt"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// makeRelease adds the app's next release. One that still waits for its turn is
// superseded: it would only be in the way.
func (w *work) makeRelease(a *store.App, r store.Release) (store.Release, error) {
	if err := w.supersedePending(a); err != nil {
		return r, err
	}
	a.Releases++
	a.UpdatedAt = w.now
	r.ID, r.AppID, r.App, r.Version, r.State, r.CreatedAt = stead.NewID(w.now), a.ID, a.Name, a.Releases, stead.ReleasePending, w.now
	if r.By == "" {
		r.By = w.actor.Email
	}
	if err := w.InsertRelease(r); err != nil {
		return r, err
	}
	for t := range r.Image.Processes {
		if t == stead.ProcessRelease {
			continue
		}
		if err := w.InsertProcess(a.ID, stead.DefaultProcess(t)); err != nil && !errors.Is(err, store.ErrDuplicate) {
			return r, err
		}
	}
	if _, err := w.SetAsleep(a.ID, false); err != nil { // a release that sleeps proves nothing
		return r, err
	}
	if err := w.SaveApp(*a); err != nil {
		return r, err
	}
	return r, w.intended("release.create", a, map[string]any{"release": r.Version, "description": r.Description, "by": r.By})
}

func (w *work) supersedePending(a *store.App) error {
	open, err := w.OpenReleases(a.ID)
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.State != stead.ReleasePending {
			continue
		}
		r.State, r.Reason = stead.ReleaseSuperseded, fmt.Sprintf("v%d took its place before it was started", a.Releases+1)
		if err := w.SaveReleaseState(r); err != nil {
			return err
		}
		if err := w.event("release.supersede", a, map[string]any{"release": r.Version}); err != nil {
			return err
		}
	}
	return nil
}

// target returns which of an app's open releases (oldest first) is to be rolled
// out: the one that was started, or else the newest. nil: none.
func target(open []store.Release) *store.Release {
	for i := range open {
		if open[i].State != stead.ReleasePending {
			return &open[i]
		}
	}
	if len(open) == 0 {
		return nil
	}
	return &open[len(open)-1]
}

// base returns the release that the next one builds upon: the newest that is
// live or on the way; if there is none, the newest of all, which failed.
func (w *work) base(a store.App) (store.Release, error) {
	open, err := w.OpenReleases(a.ID)
	if err != nil {
		return store.Release{}, err
	}
	if len(open) > 0 {
		return open[len(open)-1], nil
	}
	if a.LiveID != "" {
		return w.ReleaseByID(a.LiveID)
	}
	all, err := w.Releases(a.ID, 1)
	if err == nil && len(all) == 0 {
		return store.Release{}, store.ErrNotFound
	}
	if err != nil {
		return store.Release{}, err
	}
	return all[0], nil
}

// current is base under the name that readers look for.
func (w *work) current(a store.App) (store.Release, error) { return w.base(a) }

// Releases returns an app's newest releases, newest first.
func (p *Platform) Releases(ctx context.Context, ref string) (out []stead.Release, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		all, err := w.Releases(a.ID, maxListed)
		for _, r := range all {
			out = append(out, r.Release)
		}
		return err
	})
	return out, err
}

// Release returns an app's release of that version; 0 is the one that serves.
func (p *Platform) Release(ctx context.Context, ref string, version int) (out stead.Release, err error) {
	err = p.view(ctx, func(w *work) error {
		_, r, err := w.versioned(ref, version)
		out = r.Release
		return err
	})
	return out, err
}

func (w *work) versioned(ref string, version int) (store.App, store.Release, error) {
	a, err := w.app(ref, stead.ActRead)
	if err != nil {
		return a, store.Release{}, err
	}
	if version == 0 {
		version = a.Release
	}
	r, err := w.Release(a.ID, version)
	return a, r, orElse(err, stead.NotFound("release", fmt.Sprintf("v%d", version)))
}

// Rollback makes a new release with the image, the process table and the config
// of an old one (version 0: the one that was live before this one), as Heroku
// does. The app's config becomes the old one's too, so that the next push does
// not bring back what was rolled back. Quantities and sizes stay.
func (p *Platform) Rollback(ctx context.Context, ref string, version int) (out stead.Release, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		old, err := w.rollbackTarget(a, version)
		if err != nil {
			return err
		}
		a.Config = old.Config
		r, err := w.makeRelease(&a, store.Release{
			Release: stead.Release{Image: old.Image, BuildID: old.BuildID, ConfigKeys: old.ConfigKeys, Description: fmt.Sprintf("Rollback to v%d", old.Version)},
			Config:  old.Config,
		})
		out = r.Release
		if err != nil {
			return err
		}
		return w.event("release.rollback", &a, map[string]any{"release": r.Version, "to": old.Version})
	})
	return out, err
}

func (w *work) rollbackTarget(a store.App, version int) (store.Release, error) {
	if version == 0 {
		if a.LiveID == "" {
			return store.Release{}, stead.Precondition("the app has no release that serves, so there is nothing to roll back", "push it first")
		}
		r, err := w.FormerRelease(a.ID, a.Release)
		return r, orElse(err, stead.Precondition(fmt.Sprintf("no release before v%d was ever live", a.Release), "push the version that you want"))
	}
	r, err := w.Release(a.ID, version)
	switch {
	case err != nil:
		return r, orElse(err, stead.NotFound("release", fmt.Sprintf("v%d", version)))
	case r.ID == a.LiveID:
		return r, stead.Precondition(fmt.Sprintf("v%d is the release that serves now", version), "to start it anew, restart the app")
	case r.LiveAt == nil:
		return r, stead.Precondition(fmt.Sprintf("v%d was never live (%s)", version, r.State), "choose one that was; stead releases lists them")
	}
	return r, nil
}

// MarkRelease moves a release on: pending → releasing → rolling. It does
// nothing if the release is there or further already, and fails with
// KindConflict when it was given up or another has its turn.
func (p *Platform) MarkRelease(ctx context.Context, id stead.ID, state stead.ReleaseState) error {
	if state != stead.ReleaseReleasing && state != stead.ReleaseRolling {
		return stead.Invalid("state", "a release cannot be marked "+string(state), "use releasing or rolling")
	}
	return p.change(ctx, func(w *work) error {
		a, r, err := w.ours(id)
		if err != nil {
			return err
		}
		if r.State == state || r.State == stead.ReleaseRolling || r.ID == a.LiveID {
			return nil
		}
		open, err := w.OpenReleases(a.ID)
		if err != nil {
			return err
		}
		if t := target(open); t == nil || t.ID != id {
			return stead.Conflict(fmt.Sprintf("v%d is %s and another release has its turn", r.Version, r.State), "leave it")
		}
		r.State = state
		if err := w.SaveReleaseState(r); err != nil {
			return err
		}
		return w.intended("release.start", &a, map[string]any{"release": r.Version, "state": state})
	})
}

// ours returns a release with its app, for the platform itself.
func (w *work) ours(id stead.ID) (a store.App, r store.Release, err error) {
	if err := w.system(); err != nil {
		return a, r, err
	}
	if r, err = w.ReleaseByID(id); err != nil {
		return a, r, orElse(err, stead.Conflict("the release is gone, with its app", "leave it"))
	}
	a, err = w.AppByID(r.AppID)
	return a, r, err
}

// ReleaseLive makes the release the one that serves, and the former superseded.
// Saying it again changes nothing.
func (p *Platform) ReleaseLive(ctx context.Context, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		a, r, err := w.ours(id)
		if err != nil {
			return err
		}
		if a.LiveID == id {
			return nil
		}
		if r.State != stead.ReleaseRolling || a.DestroyedAt != nil {
			return stead.Conflict(fmt.Sprintf("v%d is %s, not rolling", r.Version, r.State), "leave it")
		}
		if a.LiveID != "" {
			old, err := w.ReleaseByID(a.LiveID)
			if err != nil {
				return err
			}
			old.State = stead.ReleaseSuperseded
			if err := w.SaveReleaseState(old); err != nil {
				return err
			}
		}
		r.State, r.LiveAt = stead.ReleaseLive, &w.now
		if err := w.SaveReleaseState(r); err != nil {
			return err
		}
		a.LiveID, a.Release, a.UpdatedAt = r.ID, r.Version, w.now
		if err := w.SaveApp(a); err != nil {
			return err
		}
		return w.intended("release.live", &a, map[string]any{"release": r.Version, "url": p.show(a).URL})
	})
}

// ReleaseFailed gives the release up, with the reason for people. What was live
// stays live. Saying it again changes nothing.
func (p *Platform) ReleaseFailed(ctx context.Context, id stead.ID, reason string) error {
	return p.change(ctx, func(w *work) error {
		a, r, err := w.ours(id)
		if err != nil || r.State == stead.ReleaseFailed {
			return err
		}
		if r.State.Done() {
			return stead.Conflict(fmt.Sprintf("v%d is %s and cannot fail any more", r.Version, r.State), "leave it")
		}
		r.State, r.Reason = stead.ReleaseFailed, reason
		if err := w.SaveReleaseState(r); err != nil {
			return err
		}
		return w.intended("release.fail", &a, map[string]any{"release": r.Version, "reason": reason})
	})
}
