package platform

import (
	"context"
	"fmt"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// Promote releases the image that serves in one app of a pipeline in others of
// it: the apps named, or all of the next stage. Each target keeps its config,
// and its release comes up as any other does. All targets get one, or none.
func (p *Platform) Promote(ctx context.Context, ref string, n stead.NewPromotion) (out stead.Promotion, err error) {
	err = p.change(ctx, func(w *work) error {
		pl, err := w.pipeline(ref)
		if err != nil {
			return err
		}
		from, c, err := w.coupled(pl, n.From, stead.ActWrite)
		if err != nil {
			return err
		}
		if from.LiveID == "" {
			return stead.Precondition("the app "+from.Name+" has no release that serves, so there is nothing to promote", "push it first")
		}
		image, err := w.ReleaseByID(from.LiveID)
		if err != nil {
			return err
		}
		targets, err := w.promotionTargets(pl, from, c.Stage, n.To)
		if err != nil {
			return err
		}
		out = stead.Promotion{ID: stead.NewID(w.now), PipelineID: pl.ID, AppID: from.ID, App: from.Name, Release: from.Release, By: w.actor.Email, CreatedAt: w.now}
		for i := range targets {
			r, err := w.promoteTo(&targets[i], from, image)
			if err != nil {
				return err
			}
			out.Targets = append(out.Targets, stead.PromotionTarget{AppID: targets[i].ID, App: targets[i].Name, Release: r.Version, State: r.State})
		}
		return w.InsertPromotion(out)
	})
	return out, err
}

// coupled returns an app of the pipeline that the actor may act on.
func (w *work) coupled(pl stead.Pipeline, app string, act stead.Action) (store.App, store.Coupling, error) {
	a, err := w.app(app, act)
	if err != nil {
		return a, store.Coupling{}, err
	}
	c, err := w.CouplingOf(a.ID)
	outside := stead.Precondition("the app "+a.Name+" is not in the pipeline "+pl.Name, "add it: stead pipelines add "+pl.Name+" -a "+a.Name+" --stage staging")
	if err == nil && c.PipelineID != pl.ID {
		err = outside
	}
	return a, c, orElse(err, outside)
}

func (w *work) promotionTargets(pl stead.Pipeline, from store.App, stage stead.PipelineStage, names []string) (out []store.App, err error) {
	if len(names) == 0 {
		if names, err = w.nextApps(pl, from, stage); err != nil {
			return nil, err
		}
	}
	seen := map[stead.ID]bool{from.ID: true}
	for _, name := range names {
		a, _, err := w.coupled(pl, name, stead.ActWrite)
		if err != nil {
			return nil, err
		}
		if seen[a.ID] {
			return nil, stead.Invalid("to", "the app "+a.Name+" is named twice, or promoted to itself", "name each target once")
		}
		seen[a.ID] = true
		out = append(out, a)
	}
	return out, nil
}

// nextApps returns all apps of the stage behind; one that the actor may not
// see counts too, and is refused later.
func (w *work) nextApps(pl stead.Pipeline, from store.App, stage stead.PipelineStage) (out []string, err error) {
	next := stage.Next()
	if next == "" {
		return nil, stead.Precondition(fmt.Sprintf("the app %s is at the stage %s, behind which there is none", from.Name, stage), "name the apps to promote to")
	}
	all, err := w.Couplings(pl.ID)
	for _, c := range all {
		if c.Stage == next {
			out = append(out, string(c.AppID))
		}
	}
	if err == nil && len(out) == 0 {
		err = stead.Precondition(fmt.Sprintf("the pipeline %s has no app at the stage %s", pl.Name, next), "add one, or name the apps to promote to")
	}
	return out, err
}

func (w *work) promoteTo(to *store.App, from store.App, image store.Release) (store.Release, error) {
	config, err := w.p.unseal(to.ID, to.Config)
	if err != nil {
		return store.Release{}, err
	}
	r, err := w.makeRelease(to, store.Release{
		Release: stead.Release{Image: image.Image, BuildID: image.BuildID, ConfigKeys: keysOf(config),
			Description: fmt.Sprintf("Promote %s v%d %s", from.Name, image.Version, shortDigest(image.Image.Digest))},
		Config: to.Config,
	})
	if err != nil {
		return r, err
	}
	return r, w.event("release.promote", to, map[string]any{"release": r.Version, "from": from.Name, "from_release": image.Version})
}

// shortDigest is enough of a digest for people to compare.
func shortDigest(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(8, len(hex))]
}

// Promotions returns the newest promotions of a pipeline, newest first, with
// the targets that the actor can see as they are now.
func (p *Platform) Promotions(ctx context.Context, ref string) (out []stead.Promotion, err error) {
	err = p.view(ctx, func(w *work) error {
		pl, err := w.pipeline(ref)
		if err != nil {
			return err
		}
		all, err := w.Tx.Promotions(pl.ID, maxListed)
		if err != nil {
			return err
		}
		for _, pr := range all {
			if pr, err = w.showPromotion(pr); err != nil {
				return err
			}
			out = append(out, pr)
		}
		return nil
	})
	return out, err
}

// Promotion returns a promotion as its targets are now.
func (p *Platform) Promotion(ctx context.Context, id stead.ID) (out stead.Promotion, err error) {
	err = p.view(ctx, func(w *work) error {
		if out, err = w.Tx.Promotion(id); err != nil {
			return orElse(err, stead.NotFound("promotion", string(id)))
		}
		if _, err := w.pipeline(string(out.PipelineID)); err != nil {
			return stead.NotFound("promotion", string(id))
		}
		out, err = w.showPromotion(out)
		return err
	})
	return out, err
}

func (w *work) showPromotion(pr stead.Promotion) (stead.Promotion, error) {
	targets := pr.Targets
	pr.Targets = []stead.PromotionTarget{}
	for _, t := range targets {
		_, r, err := w.versioned(string(t.AppID), t.Release)
		if stead.KindOf(err) == stead.KindNotFound {
			continue // destroyed, or not the actor's to see
		}
		if err != nil {
			return pr, err
		}
		t.State, t.Reason = r.State, r.Reason
		pr.Targets = append(pr.Targets, t)
	}
	return pr, nil
}
