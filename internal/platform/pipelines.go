package platform

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// Pipelines returns the pipelines of the orgs that the actor is in, of one org
// or (org "") of all, each with the apps that the actor can see.
func (p *Platform) Pipelines(ctx context.Context, org string) (out []stead.Pipeline, err error) {
	err = p.view(ctx, func(w *work) error {
		if org != "" {
			if _, err := w.org(org); err != nil {
				return err
			}
		}
		all, err := w.Tx.Pipelines()
		if err != nil {
			return err
		}
		for _, pl := range all {
			seen, err := w.seesOrg(pl.OrgID)
			if err != nil {
				return err
			}
			if !seen || org != "" && pl.Org != org && string(pl.OrgID) != org {
				continue
			}
			if pl, err = w.withApps(pl); err != nil {
				return err
			}
			out = append(out, pl)
		}
		return nil
	})
	return out, err
}

// Pipeline returns a pipeline by ID or, if only one that the actor can see has
// it, by name.
func (p *Platform) Pipeline(ctx context.Context, ref string) (pl stead.Pipeline, err error) {
	err = p.view(ctx, func(w *work) error {
		if pl, err = w.pipeline(ref); err != nil {
			return err
		}
		pl, err = w.withApps(pl)
		return err
	})
	return pl, err
}

// pipeline returns the pipeline that ref names if the actor is in its org.
func (w *work) pipeline(ref string) (stead.Pipeline, error) {
	all, err := w.Tx.Pipelines()
	if err != nil {
		return stead.Pipeline{}, err
	}
	var found []stead.Pipeline
	for _, pl := range all {
		if pl.Name != ref && string(pl.ID) != ref && pl.Org+"/"+pl.Name != ref {
			continue
		}
		seen, err := w.seesOrg(pl.OrgID)
		if err != nil {
			return pl, err
		}
		if seen {
			found = append(found, pl)
		}
	}
	switch len(found) {
	case 0:
		return stead.Pipeline{}, stead.NotFound("pipeline", ref)
	case 1:
		return found[0], nil
	}
	return stead.Pipeline{}, stead.Conflict("several orgs have a pipeline named "+ref, "say which, as in "+found[0].Org+"/"+ref)
}

// ownPipeline is pipeline for one who is to change it.
func (w *work) ownPipeline(ref string) (stead.Pipeline, error) {
	pl, err := w.pipeline(ref)
	if err != nil {
		return pl, err
	}
	return pl, w.writesOrg(pl.OrgID, "pipeline", pl.Name)
}

// writesOrg fails unless the actor, who sees the org, may change what belongs to it.
func (w *work) writesOrg(org stead.ID, noun, name string) error {
	role, err := w.role(org, "")
	if err == nil && !w.actor.May(stead.ActWrite, role) {
		err = w.forbidden(stead.ActWrite, noun, name, role)
	}
	return err
}

// withApps adds the apps that the actor can see, by stage and name.
func (w *work) withApps(pl stead.Pipeline) (stead.Pipeline, error) {
	couplings, err := w.Couplings(pl.ID)
	if err != nil {
		return pl, err
	}
	pl.Apps = []stead.PipelineApp{}
	for _, c := range couplings {
		a, err := w.app(string(c.AppID), stead.ActRead)
		if stead.KindOf(err) == stead.KindNotFound {
			continue
		}
		if err != nil {
			return pl, err
		}
		shown, err := w.showCoupled(a, c)
		if err != nil {
			return pl, err
		}
		pl.Apps = append(pl.Apps, shown)
	}
	order := stead.PipelineStages()
	slices.SortFunc(pl.Apps, func(a, b stead.PipelineApp) int {
		return cmp.Or(slices.Index(order, a.Stage)-slices.Index(order, b.Stage), cmp.Compare(a.App, b.App))
	})
	return pl, nil
}

func (w *work) showCoupled(a store.App, c store.Coupling) (stead.PipelineApp, error) {
	c.App, c.Space, c.Release = a.Name, a.Space, a.Release
	if a.LiveID == "" {
		return c.PipelineApp, nil
	}
	r, err := w.ReleaseByID(a.LiveID)
	if err != nil {
		return c.PipelineApp, err
	}
	c.Digest = r.Image.Digest
	b, err := w.BuildByID(r.BuildID)
	if err == nil {
		c.Commit = b.Source.Commit
	}
	return c.PipelineApp, orElse(err, nil) // an image that was pushed has no build
}

// CreatePipeline makes a pipeline in an org ("": the default one).
func (p *Platform) CreatePipeline(ctx context.Context, org, name string) (pl stead.Pipeline, err error) {
	if err := stead.CheckName("name", name); err != nil {
		return pl, err
	}
	err = p.change(ctx, func(w *work) error {
		o, err := w.org(org)
		if err != nil {
			return err
		}
		if err := w.writesOrg(o.ID, "org", o.Name); err != nil {
			return err
		}
		pl = stead.Pipeline{ID: stead.NewID(w.now), OrgID: o.ID, Org: o.Name, Name: name, Apps: []stead.PipelineApp{}, CreatedAt: w.now, UpdatedAt: w.now}
		if err := w.InsertPipeline(pl); err != nil {
			return taken(err, "the org "+o.Name+" has a pipeline "+name+" already", "choose another name")
		}
		return w.pipelineEvent("pipeline.create", pl, nil)
	})
	return pl, err
}

func (w *work) pipelineEvent(verb string, pl stead.Pipeline, more map[string]any) error {
	data := map[string]any{"pipeline": pl.Name}
	for k, v := range more {
		data[k] = v
	}
	return w.record(store.Event{Event: stead.Event{Verb: verb, OrgID: pl.OrgID, Data: data}})
}

// RenamePipeline gives a pipeline another name.
func (p *Platform) RenamePipeline(ctx context.Context, ref, name string) (pl stead.Pipeline, err error) {
	if err := stead.CheckName("name", name); err != nil {
		return pl, err
	}
	err = p.change(ctx, func(w *work) error {
		if pl, err = w.ownPipeline(ref); err != nil {
			return err
		}
		was := pl.Name
		pl.Name, pl.UpdatedAt = name, w.now
		if others, err := w.Tx.Pipelines(); err != nil {
			return err
		} else if slices.ContainsFunc(others, func(o stead.Pipeline) bool { return o.OrgID == pl.OrgID && o.Name == name && o.ID != pl.ID }) {
			return stead.Conflict("the org "+pl.Org+" has a pipeline "+name+" already", "choose another name")
		}
		if err := w.SavePipeline(pl); err != nil {
			return err
		}
		if err := w.pipelineEvent("pipeline.rename", pl, map[string]any{"was": was}); err != nil {
			return err
		}
		pl, err = w.withApps(pl)
		return err
	})
	return pl, err
}

// DestroyPipeline removes a pipeline. Its apps stay as they are.
func (p *Platform) DestroyPipeline(ctx context.Context, ref string) error {
	return p.change(ctx, func(w *work) error {
		pl, err := w.ownPipeline(ref)
		if err != nil {
			return err
		}
		if err := w.DeletePipeline(pl.ID); err != nil {
			return err
		}
		return w.pipelineEvent("pipeline.destroy", pl, nil)
	})
}

// SetPipelineApp puts an app of the pipeline's org at a stage: a new one, or
// one that is in the pipeline already.
func (p *Platform) SetPipelineApp(ctx context.Context, ref, app string, stage stead.PipelineStage) (pl stead.Pipeline, err error) {
	if err := stead.CheckPipelineStage("stage", stage); err != nil {
		return pl, err
	}
	err = p.change(ctx, func(w *work) error {
		if pl, err = w.ownPipeline(ref); err != nil {
			return err
		}
		a, err := w.app(app, stead.ActWrite)
		if err != nil {
			return err
		}
		if a.OrgID != pl.OrgID {
			return stead.Precondition("the app "+a.Name+" belongs to another org than the pipeline "+pl.Name, "make the pipeline in the org of its apps")
		}
		was, err := w.CouplingOf(a.ID)
		if err == nil && was.PipelineID != pl.ID {
			return stead.Conflict("the app "+a.Name+" is in another pipeline already", "remove it there first: an app is in one pipeline at most")
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		c := store.Coupling{PipelineID: pl.ID, PipelineApp: stead.PipelineApp{AppID: a.ID, Stage: stage, AddedAt: w.now}}
		if err := w.SetCoupling(c); err != nil {
			return err
		}
		if err := w.event("pipeline.add", &a, map[string]any{"pipeline": pl.Name, "stage": stage}); err != nil {
			return err
		}
		pl, err = w.withApps(pl)
		return err
	})
	return pl, err
}

// RemovePipelineApp takes an app out of a pipeline; the app stays.
func (p *Platform) RemovePipelineApp(ctx context.Context, ref, app string) error {
	return p.change(ctx, func(w *work) error {
		pl, err := w.ownPipeline(ref)
		if err != nil {
			return err
		}
		a, err := w.app(app, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := w.DeleteCoupling(pl.ID, a.ID); err != nil {
			return orElse(err, stead.Precondition("the app "+a.Name+" is not in the pipeline "+pl.Name, "stead pipelines info "+pl.Name+" lists its apps"))
		}
		return w.event("pipeline.remove", &a, map[string]any{"pipeline": pl.Name})
	})
}
