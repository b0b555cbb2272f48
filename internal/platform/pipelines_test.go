package platform

import (
	"context"
	"testing"

	"github.com/steadpaas/stead"
)

// pipelined is a world with a pipeline from stage to two apps in production,
// of which only stage is live.
func pipelined(t *testing.T) (*world, stead.Pipeline) {
	t.Helper()
	w := newWorld(t)
	pl, err := w.CreatePipeline(w.admin, "", "shop")
	check(t, err)
	for app, stage := range map[string]stead.PipelineStage{"stage": stead.StageStaging, "shop-eu": stead.StageProduction, "shop-us": stead.StageProduction} {
		w.app(app)
		_, err := w.SetPipelineApp(w.admin, "shop", app, stage)
		check(t, err)
	}
	w.live("stage", "web", "worker")
	pl, err = w.Pipeline(w.admin, string(pl.ID))
	check(t, err)
	return w, pl
}

func TestPipeline(t *testing.T) {
	w, pl := pipelined(t)
	if len(pl.Apps) != 3 || pl.Apps[0].App != "stage" || pl.Apps[0].Release != 1 || pl.Apps[0].Digest != image("stage").Digest || pl.Apps[1].App != "shop-eu" {
		t.Errorf("pipeline: %+v", pl)
	}
	_, err := w.CreatePipeline(w.admin, "", "shop")
	wantKind(t, "a second of that name", err, stead.KindConflict)
	_, err = w.CreatePipeline(w.admin, "", "other")
	check(t, err)
	_, err = w.RenamePipeline(w.admin, "other", "shop")
	wantKind(t, "rename to a taken name", err, stead.KindConflict)
	_, err = w.SetPipelineApp(w.admin, "other", "stage", stead.StageStaging)
	wantKind(t, "an app in two pipelines", err, stead.KindConflict)
	_, err = w.SetPipelineApp(w.admin, "shop", "stage", "sky")
	wantKind(t, "an unknown stage", err, stead.KindInvalid)
	_, err = w.SetPipelineApp(w.admin, "shop", "stage", stead.StageDevelopment)
	check(t, err)
	check(t, w.RemovePipelineApp(w.admin, "shop", "stage"))
	wantKind(t, "removed twice", w.RemovePipelineApp(w.admin, "shop", "stage"), stead.KindPrecondition)
	check(t, w.DestroyPipeline(w.admin, "shop"))
	_, err = w.Pipeline(w.admin, "shop")
	wantKind(t, "destroyed", err, stead.KindNotFound)
	_, err = w.App(w.admin, "shop-eu")
	check(t, err)
}

func TestPromote(t *testing.T) {
	w, _ := pipelined(t)
	_, _, err := w.SetConfig(w.admin, "stage", map[string]*string{"NAME": ptr("stage")})
	check(t, err)
	_, _, err = w.SetConfig(w.admin, "shop-eu", map[string]*string{"NAME": ptr("eu")})
	check(t, err)
	pr, err := w.Promote(w.admin, "shop", stead.NewPromotion{From: "stage"})
	check(t, err)
	if len(pr.Targets) != 2 || pr.Release != 1 {
		t.Fatalf("promotion: %+v", pr)
	}
	eu, err := w.App(w.admin, "shop-eu")
	check(t, err)
	in := w.intent(eu.ID)
	if in.Target.Image.Digest != image("stage").Digest || in.Target.Config["NAME"] != "eu" || len(in.Processes) != 2 {
		t.Errorf("the target is to run %+v with %v", in.Target.Image, in.Target.Config)
	}
	r, err := w.Release(w.admin, "shop-eu", 1)
	check(t, err)
	w.roll(r)
	pr, err = w.Promotion(w.admin, pr.ID)
	check(t, err)
	for _, target := range pr.Targets {
		if live := target.App == "shop-eu"; live != (target.State == stead.ReleaseLive) {
			t.Errorf("target: %+v", target)
		}
	}
}

func TestPromoteAllOrNone(t *testing.T) {
	w, _ := pipelined(t)
	w.app("alone")
	for name, n := range map[string]stead.NewPromotion{
		"a target outside":   {From: "stage", To: []string{"shop-eu", "alone"}},
		"nothing to promote": {From: "shop-eu", To: []string{"shop-us"}},
		"no stage behind":    {From: "shop-eu"},
	} {
		_, err := w.Promote(w.admin, "shop", n)
		wantKind(t, name, err, stead.KindPrecondition)
	}
	_, err := w.Promote(w.admin, "shop", stead.NewPromotion{From: "stage", To: []string{"shop-eu", "shop-eu"}})
	wantKind(t, "a target named twice", err, stead.KindInvalid)
	all, err := w.Releases(w.admin, "shop-eu")
	check(t, err)
	if len(all) != 0 {
		t.Errorf("a refused promotion released %+v", all)
	}
}

func TestPipelineOfOthers(t *testing.T) {
	w, _ := pipelined(t)
	pr, err := w.Promote(w.admin, "shop", stead.NewPromotion{From: "stage", To: []string{"shop-us"}})
	check(t, err)
	_, err = w.CreateOrg(w.admin, "elsewhere")
	check(t, err)
	stranger, reader := w.person("stranger@example.com"), w.person("reader@example.com")
	_, err = w.SetMember(w.admin, "elsewhere", "", "stranger@example.com", stead.RoleAdmin)
	check(t, err)
	_, err = w.SetMember(w.admin, "default", "", "reader@example.com", stead.RoleAuditor)
	check(t, err)
	reads := map[string]func(ctx context.Context) error{
		"Pipeline":   func(ctx context.Context) error { _, err := w.Pipeline(ctx, "shop"); return err },
		"Pipelines":  func(ctx context.Context) error { _, err := w.Pipelines(ctx, "default"); return err },
		"Promotions": func(ctx context.Context) error { _, err := w.Promotions(ctx, "shop"); return err },
		"Promotion":  func(ctx context.Context) error { _, err := w.Promotion(ctx, pr.ID); return err },
	}
	writes := map[string]func(ctx context.Context) error{
		"CreatePipeline":  func(ctx context.Context) error { _, err := w.CreatePipeline(ctx, "default", "mine"); return err },
		"RenamePipeline":  func(ctx context.Context) error { _, err := w.RenamePipeline(ctx, "shop", "mine"); return err },
		"DestroyPipeline": func(ctx context.Context) error { return w.DestroyPipeline(ctx, "shop") },
		"SetPipelineApp": func(ctx context.Context) error {
			_, err := w.SetPipelineApp(ctx, "shop", "stage", stead.StageProduction)
			return err
		},
		"RemovePipelineApp": func(ctx context.Context) error { return w.RemovePipelineApp(ctx, "shop", "stage") },
		"Promote": func(ctx context.Context) error {
			_, err := w.Promote(ctx, "shop", stead.NewPromotion{From: "stage"})
			return err
		},
	}
	for name, call := range reads {
		wantKind(t, name+" by a stranger", call(stranger), stead.KindNotFound)
		wantKind(t, name+" by nobody", call(t.Context()), stead.KindUnauthenticated)
		if err := call(reader); err != nil {
			t.Errorf("%s by an auditor: %v", name, err)
		}
	}
	for name, call := range writes {
		wantKind(t, name+" by a stranger", call(stranger), stead.KindNotFound)
		wantKind(t, name+" by nobody", call(t.Context()), stead.KindUnauthenticated)
		wantKind(t, name+" by an auditor", call(reader), stead.KindForbidden)
	}
	_, err = w.CreateApp(w.admin, NewApp{Name: "foreign", Org: "elsewhere"})
	check(t, err)
	_, err = w.SetPipelineApp(w.admin, "shop", "foreign", stead.StageProduction)
	wantKind(t, "an app of another org", err, stead.KindPrecondition)
}
