package heroku

import (
	"slices"

	"github.com/steadpaas/stead"
)

func pipelineRoutes() []route {
	const p, pc, pp = "/pipelines/{pipeline}", "/pipeline-couplings", "/pipeline-promotions"
	return []route{
		{Method: "GET", Path: "/pipelines", Title: "pipeline: list", do: (*call).pipelines},
		{Method: "POST", Path: "/pipelines", Title: "pipeline: create", do: (*call).createPipeline},
		{Method: "GET", Path: p, Title: "pipeline: info", do: (*call).pipelineInfo},
		{Method: "PATCH", Path: p, Title: "pipeline: update", do: (*call).renamePipeline},
		{Method: "DELETE", Path: p, Title: "pipeline: delete", do: (*call).deletePipeline},
		{Method: "GET", Path: pc, Title: "pipeline coupling: list", do: (*call).couplings},
		{Method: "POST", Path: pc, Title: "pipeline coupling: create", do: (*call).couple},
		{Method: "GET", Path: pc + "/{coupling}", Title: "pipeline coupling: info", do: (*call).coupling},
		{Method: "PATCH", Path: pc + "/{coupling}", Title: "pipeline coupling: update", do: (*call).updateCoupling},
		{Method: "DELETE", Path: pc + "/{coupling}", Title: "pipeline coupling: delete", do: (*call).uncouple},
		{Method: "GET", Path: p + pc, Title: "pipeline coupling: list by pipeline", do: (*call).pipelineCouplings},
		{Method: "GET", Path: "/users/~" + pc, Title: "pipeline coupling: list by user", do: (*call).couplings},
		{Method: "GET", Path: "/teams/{team}" + pc, Title: "pipeline coupling: list by team", do: (*call).teamCouplings},
		{Method: "GET", Path: "/apps/{app}" + pc, Title: "pipeline coupling: info by app", do: (*call).appCoupling},
		{Method: "GET", Path: p + "/latest-builds", Title: "pipeline build: list", do: (*call).pipelineBuilds},
		{Method: "GET", Path: p + "/latest-releases", Title: "pipeline release: list", do: (*call).pipelineReleases},
		{Method: "GET", Path: p + "/latest-deployments", Title: "pipeline deployment: list", do: (*call).pipelineDeployments},
		{Method: "GET", Path: p + "/pipeline-stack", Title: "pipeline stack: info", do: (*call).pipelineStack},
		{Method: "POST", Path: pp, Title: "pipeline promotion: create", do: (*call).promote},
		{Method: "GET", Path: pp + "/{promotion}", Title: "pipeline promotion: info", do: (*call).promotion},
		{Method: "GET", Path: pp + "/{promotion}/promotion-targets", Title: "pipeline promotion target: list", do: (*call).promotionTargets},
	}
}

func (c *call) showPipeline(p stead.Pipeline) object {
	owner := object{"id": p.OrgID, "type": "team"}
	if p.Org == stead.DefaultName {
		owner = object{"id": c.actor.UserID, "type": "user"}
	}
	return object{"id": p.ID, "name": p.Name, "owner": owner, "generation": generation(), "created_at": stamp(p.CreatedAt), "updated_at": stamp(p.UpdatedAt)}
}

// pipelines lists those of all orgs; the CLI asks for one of a name, "eq[name]".
func (c *call) pipelines() (any, error) {
	all, err := c.p.Pipelines(c.ctx, "")
	if name := c.r.URL.Query().Get("eq[name]"); name != "" {
		all = slices.DeleteFunc(all, func(p stead.Pipeline) bool { return p.Name != name })
	}
	return each(all, c.showPipeline), err
}

func (c *call) createPipeline() (any, error) {
	var in struct {
		Name  string `json:"name"`
		Owner *struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		} `json:"owner"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	org := ""
	if in.Owner != nil && in.Owner.Type == "team" {
		org = in.Owner.ID
	}
	p, err := c.p.CreatePipeline(c.ctx, org, in.Name)
	return c.created(c.showPipeline(p)), err
}

func (c *call) pipeline() (stead.Pipeline, error) { return c.p.Pipeline(c.ctx, c.params["pipeline"]) }

func (c *call) pipelineInfo() (any, error) {
	p, err := c.pipeline()
	return c.showPipeline(p), err
}

func (c *call) renamePipeline() (any, error) {
	var in struct {
		Name *string `json:"name"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Name == nil {
		return c.pipelineInfo()
	}
	p, err := c.p.RenamePipeline(c.ctx, c.params["pipeline"], *in.Name)
	return c.showPipeline(p), err
}

func (c *call) deletePipeline() (any, error) {
	p, err := c.pipeline()
	if err != nil {
		return nil, err
	}
	return c.showPipeline(p), c.p.DestroyPipeline(c.ctx, string(p.ID))
}

func showCoupling(p stead.Pipeline, a stead.PipelineApp) object {
	return object{"id": idOf("coupling", string(p.ID), string(a.AppID)), "app": object{"id": a.AppID}, "stage": string(a.Stage),
		"pipeline": object{"id": p.ID, "name": p.Name}, "created_at": stamp(a.AddedAt), "updated_at": stamp(a.AddedAt)}
}

func couplingsOf(pipelines ...stead.Pipeline) []object {
	out := []object{}
	for _, p := range pipelines {
		for _, a := range p.Apps {
			out = append(out, showCoupling(p, a))
		}
	}
	return out
}

func (c *call) couplings() (any, error) {
	all, err := c.p.Pipelines(c.ctx, "")
	return couplingsOf(all...), err
}

func (c *call) teamCouplings() (any, error) {
	all, err := c.p.Pipelines(c.ctx, c.params["team"])
	return couplingsOf(all...), err
}

func (c *call) pipelineCouplings() (any, error) {
	p, err := c.pipeline()
	return couplingsOf(p), err
}

// findCoupling finds an app in a pipeline.
func (c *call) findCoupling(is func(stead.Pipeline, stead.PipelineApp) bool, ref string) (stead.Pipeline, stead.PipelineApp, error) {
	all, err := c.p.Pipelines(c.ctx, "")
	for _, p := range all {
		for _, a := range p.Apps {
			if is(p, a) {
				return p, a, err
			}
		}
	}
	if err == nil {
		err = stead.NotFound("pipeline_coupling", ref)
	}
	return stead.Pipeline{}, stead.PipelineApp{}, err
}

func (c *call) couplingNamed() (stead.Pipeline, stead.PipelineApp, error) {
	ref := c.params["coupling"]
	return c.findCoupling(func(p stead.Pipeline, a stead.PipelineApp) bool { return showCoupling(p, a)["id"] == ref }, ref)
}

func (c *call) coupling() (any, error) {
	p, a, err := c.couplingNamed()
	return showCoupling(p, a), err
}

func (c *call) appCoupling() (any, error) {
	app, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	p, a, err := c.findCoupling(func(_ stead.Pipeline, a stead.PipelineApp) bool { return a.AppID == app.ID }, "of "+app.Name)
	return showCoupling(p, a), err
}

type couplingInput struct {
	App      named `json:"app"`
	Pipeline named `json:"pipeline"`
	Stage    string
}

func (c *call) couple() (any, error) {
	var in couplingInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	app, err := c.p.App(c.ctx, string(in.App))
	if err != nil {
		return nil, err
	}
	o, err := c.placed(string(in.Pipeline), app.ID, in.Stage)
	return c.created(o), err
}

func (c *call) placed(pipeline string, app stead.ID, stage string) (object, error) {
	p, err := c.p.SetPipelineApp(c.ctx, pipeline, string(app), stead.PipelineStage(stage))
	for _, a := range p.Apps {
		if a.AppID == app {
			return showCoupling(p, a), err
		}
	}
	return nil, err
}

func (c *call) updateCoupling() (any, error) {
	var in couplingInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p, a, err := c.couplingNamed()
	if err != nil {
		return nil, err
	}
	return c.placed(string(p.ID), a.AppID, in.Stage)
}

func (c *call) uncouple() (any, error) {
	p, a, err := c.couplingNamed()
	if err != nil {
		return nil, err
	}
	return showCoupling(p, a), c.p.RemovePipelineApp(c.ctx, string(p.ID), string(a.AppID))
}

// eachApp serializes something of each app of the pipeline that has it.
func (c *call) eachApp(of func(app string) (object, bool, error)) (any, error) {
	p, err := c.pipeline()
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, a := range p.Apps {
		o, ok, err := of(string(a.AppID))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, o)
		}
	}
	return out, nil
}

func (c *call) pipelineBuilds() (any, error) {
	return c.eachApp(func(app string) (object, bool, error) {
		all, err := c.p.Builds(c.ctx, app)
		if err != nil || len(all) == 0 {
			return nil, false, err
		}
		o, err := c.showBuild(all[0], nil)
		return o, true, err
	})
}

func (c *call) latestRelease(app string, is func(stead.Release) bool) (object, bool, error) {
	all, err := c.p.Releases(c.ctx, app)
	for _, r := range all {
		if is(r) {
			o := c.showRelease(r)
			delete(o, "artifacts") // the schema of pipelines has them in another form
			return o, true, err
		}
	}
	return nil, false, err
}

func (c *call) pipelineReleases() (any, error) {
	return c.eachApp(func(app string) (object, bool, error) {
		return c.latestRelease(app, func(stead.Release) bool { return true })
	})
}

// pipelineDeployments are the releases that serve.
func (c *call) pipelineDeployments() (any, error) {
	return c.eachApp(func(app string) (object, bool, error) {
		return c.latestRelease(app, func(r stead.Release) bool { return r.State == stead.ReleaseLive })
	})
}

func (c *call) pipelineStack() (any, error) {
	_, err := c.pipeline()
	return object{"stack": object{"id": idOf("stack", stackName), "name": stackName}}, err
}

type promotedApp struct {
	App named `json:"app"`
}

// promote copies the image that an app serves to others of its pipeline.
func (c *call) promote() (any, error) {
	var in struct {
		Pipeline named         `json:"pipeline"`
		Source   promotedApp   `json:"source"`
		Targets  []promotedApp `json:"targets"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	n := stead.NewPromotion{From: string(in.Source.App)}
	for _, t := range in.Targets {
		n.To = append(n.To, string(t.App))
	}
	p, err := c.p.Promote(c.ctx, string(in.Pipeline), n)
	return c.created(showPromotion(p)), err
}

func showPromotion(p stead.Promotion) object {
	status := "completed"
	for _, t := range p.Targets {
		if !t.State.Done() {
			status = "pending"
		}
	}
	return object{"id": p.ID, "pipeline": object{"id": p.PipelineID}, "status": status, "created_at": stamp(p.CreatedAt), "updated_at": stamp(p.CreatedAt),
		"source": object{"app": object{"id": p.AppID}, "release": object{"id": idOf("release", string(p.AppID), itoa(p.Release))}}}
}

func (c *call) findPromotion() (stead.Promotion, error) {
	return c.p.Promotion(c.ctx, stead.ID(c.params["promotion"]))
}

func (c *call) promotion() (any, error) {
	p, err := c.findPromotion()
	return showPromotion(p), err
}

func (c *call) promotionTargets() (any, error) {
	p, err := c.findPromotion()
	return each(p.Targets, func(t stead.PromotionTarget) object {
		var release any
		if t.Release > 0 {
			release = object{"id": idOf("release", string(t.AppID), itoa(t.Release))}
		}
		return object{"id": idOf("promotion", string(p.ID), string(t.AppID)), "app": object{"id": t.AppID}, "pipeline_promotion": object{"id": p.ID},
			"release": release, "status": releaseStatus(t.State), "error_message": orNull(t.Reason)}
	}), err
}
