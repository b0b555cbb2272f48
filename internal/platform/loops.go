package platform

import (
	"context"
	"errors"
	"slices"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// ReleaseSpec is a release with what it runs with, secrets included.
type ReleaseSpec struct {
	stead.Release
	Config stead.Config
}

// Intent is all that the loops need to know of one app.
type Intent struct {
	App       stead.App
	Change    int // number of the last change, for ReportDone
	Routed    int // what was reported last
	Settled   int
	Destroyed bool            // remove everything that runs, then ForgetApp
	Processes []stead.Process // quantities, sizes, health, epochs; commands of the target or live release
	Live      *ReleaseSpec    // serves now; nil: none yet
	Target    *ReleaseSpec    // to be rolled out; nil: none
	Routes    []stead.Route
	Pages     stead.Pages
}

func (p *Platform) spec(r store.Release) (*ReleaseSpec, error) {
	config, err := p.unseal(r.AppID, r.Config)
	return &ReleaseSpec{Release: r.Release, Config: config}, err
}

// Intents returns what is wanted of each app, destroyed ones included. It fails
// as a whole rather than leave an app out: what is not wanted is removed.
func (p *Platform) Intents(ctx context.Context) (out []Intent, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		apps, err := w.Apps()
		if err != nil {
			return err
		}
		releases, err := w.AllOpenReleases()
		if err != nil {
			return err
		}
		of := map[stead.ID][]store.Release{}
		for _, r := range releases {
			of[r.AppID] = append(of[r.AppID], r)
		}
		for _, a := range apps {
			in, err := w.intent(a, of[a.ID])
			if err != nil {
				return err
			}
			out = append(out, in)
		}
		return nil
	})
	return out, err
}

func (w *work) intent(a store.App, releases []store.Release) (in Intent, err error) {
	in = Intent{App: w.p.show(a), Change: a.Wanted, Routed: a.RoutedAt, Settled: a.SettledAt, Destroyed: a.DestroyedAt != nil}
	var open []store.Release
	var live *store.Release
	for i, r := range releases {
		if r.ID == a.LiveID {
			live = &releases[i]
		} else {
			open = append(open, r)
		}
	}
	if live != nil {
		if in.Live, err = w.p.spec(*live); err != nil {
			return in, err
		}
	}
	if next := target(open); next != nil {
		if in.Target, err = w.p.spec(*next); err != nil {
			return in, err
		}
	}
	if in.Routes, err = w.Routes(a.ID); err != nil {
		return in, err
	}
	if in.Pages, err = w.Pages(a.ID); err != nil {
		return in, err
	}
	in.Processes, err = w.Processes(a.ID)
	in.addCommands()
	return in, err
}

func (in *Intent) addCommands() {
	r := in.Target
	if r == nil {
		r = in.Live
	}
	for i := range in.Processes {
		if r != nil {
			in.Processes[i].Command = r.Image.Processes[in.Processes[i].Type]
		}
	}
}

// ForgetApp removes the rows of a destroyed app of which nothing runs any more.
// Its events stay. Saying it again changes nothing.
func (p *Platform) ForgetApp(ctx context.Context, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		a, err := w.AppByID(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if a.DestroyedAt == nil {
			return stead.Conflict("the app is not destroyed", "leave it")
		}
		if err := w.DeleteApp(id); err != nil {
			return err
		}
		w.wake(TopicApps)
		return w.event("app.forget", &a, nil)
	})
}

// ReportInstances replaces what is known of the instances of an app. Each crash
// that is seen for the first time becomes an event, which outlives the instance.
func (p *Platform) ReportInstances(ctx context.Context, app stead.ID, instances []stead.Instance) error {
	instances = slices.Clone(instances)
	for i := range instances {
		instances[i].AppID = app
		if instances[i].Ref == "" {
			instances[i].Ref = instances[i].Name
		}
	}
	var d difference
	look := func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		was, err := w.Instances(app)
		d = compare(was, instances)
		return err
	}
	if err := p.view(ctx, look); err != nil || d.none() {
		return err
	}
	return p.change(ctx, func(w *work) error {
		a, err := w.AppByID(app)
		if errors.Is(err, store.ErrNotFound) {
			return nil // forgotten meanwhile
		}
		if err != nil {
			return err
		}
		if err := look(w); err != nil {
			return err
		}
		w.wake(topicInstances)
		return w.report(&a, d)
	})
}

// difference is what changed between two reports.
type difference struct {
	gone, changed, crashed []stead.Instance
}

func (d difference) none() bool { return len(d.gone) == 0 && len(d.changed) == 0 }

func compare(was, is []stead.Instance) (d difference) {
	old := map[string]stead.Instance{}
	for _, i := range was {
		old[i.Ref] = i
	}
	for _, i := range is {
		o, known := old[i.Ref]
		delete(old, i.Ref)
		if known && same(o, i) {
			continue
		}
		d.changed = append(d.changed, i)
		again := known && o.State == stead.InstanceCrashed && o.Restarts == i.Restarts
		if i.State == stead.InstanceCrashed && !again {
			d.crashed = append(d.crashed, i)
		}
	}
	for _, i := range old {
		d.gone = append(d.gone, i)
	}
	return d
}

// same compares what is stored; the database keeps microseconds.
func same(a, b stead.Instance) bool {
	exits := a.ExitCode == nil && b.ExitCode == nil || a.ExitCode != nil && b.ExitCode != nil && *a.ExitCode == *b.ExitCode
	times := a.Since.UnixMicro() == b.Since.UnixMicro()
	b.ExitCode, b.Since = a.ExitCode, a.Since
	return exits && times && a == b
}

func (w *work) report(a *store.App, d difference) error {
	for _, i := range d.gone {
		if err := w.DeleteInstance(a.ID, i.Ref); err != nil {
			return err
		}
	}
	for _, i := range d.changed {
		if err := w.SaveInstance(i); err != nil {
			return err
		}
	}
	for _, i := range d.crashed {
		err := w.event("instance.crash", a, map[string]any{"instance": i.Name, "release": i.Release, "reason": i.Reason,
			"exit_code": i.ExitCode, "restarts": i.Restarts})
		if err != nil {
			return err
		}
	}
	return nil
}

// keptReleases is how many releases of each app keep their image.
const keptReleases = 10

// KeptImages returns the references that must not be collected: of live and
// target releases and of the last ten of each app, rollback targets included.
func (p *Platform) KeptImages(ctx context.Context) (out []string, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		kept, err := w.KeptReleases(keptReleases)
		if err != nil {
			return err
		}
		apps, err := w.Apps()
		if err != nil {
			return err
		}
		for _, a := range apps {
			r, err := w.FormerRelease(a.ID, a.Release)
			if err == nil {
				kept = append(kept, r)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		for _, r := range kept {
			out = append(out, r.Image.Ref)
		}
		slices.Sort(out)
		out = slices.Compact(out)
		return nil
	})
	return out, err
}
