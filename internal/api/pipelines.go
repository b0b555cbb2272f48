package api

import (
	"context"

	"github.com/steadpaas/stead"
)

// PipelineRef names a pipeline in a path.
type PipelineRef struct {
	Pipeline string `path:"pipeline" maxLength:"300" doc:"ID, name, or org/name with its slash escaped as %2F"`
}

func pipelines(s *server) {
	type inOrg struct {
		Org string `query:"org" maxLength:"100" doc:"Only of this org."`
	}
	handleList(s, op("Pipelines", "GET", "pipelines", "List pipelines"), func(ctx context.Context, in *inOrg) ([]stead.Pipeline, error) {
		return s.p.Pipelines(ctx, in.Org)
	})
	type newPipeline struct {
		Body struct {
			Org  string `json:"org,omitempty" maxLength:"100"`
			Name string `json:"name" maxLength:"100"`
		}
	}
	handle(s, op("CreatePipeline", "POST", "pipelines", "Make a pipeline"), func(ctx context.Context, in *newPipeline) (stead.Pipeline, error) {
		return s.p.CreatePipeline(ctx, in.Body.Org, in.Body.Name)
	})
	handle(s, op("Pipeline", "GET", "pipelines/{pipeline}", "A pipeline with its apps"), func(ctx context.Context, in *PipelineRef) (stead.Pipeline, error) {
		return s.p.Pipeline(ctx, in.Pipeline)
	})
	type rename struct {
		PipelineRef
		Body struct {
			Name string `json:"name" maxLength:"100"`
		}
	}
	handle(s, op("RenamePipeline", "PATCH", "pipelines/{pipeline}", "Rename a pipeline"), func(ctx context.Context, in *rename) (stead.Pipeline, error) {
		return s.p.RenamePipeline(ctx, in.Pipeline, in.Body.Name)
	})
	act(s, op("DestroyPipeline", "DELETE", "pipelines/{pipeline}", "Remove a pipeline; its apps stay"), func(ctx context.Context, in *PipelineRef) error {
		return s.p.DestroyPipeline(ctx, in.Pipeline)
	})
	pipelineApps(s)
	promotions(s)
}

func pipelineApps(s *server) {
	type place struct {
		PipelineRef
		AppRef
		Body struct {
			Stage stead.PipelineStage `json:"stage" maxLength:"40" doc:"test, review, development, staging or production"`
		}
	}
	handle(s, op("SetPipelineApp", "PUT", "pipelines/{pipeline}/apps/{app}", "Put an app at a stage of a pipeline"), func(ctx context.Context, in *place) (stead.Pipeline, error) {
		return s.p.SetPipelineApp(ctx, in.Pipeline, in.App, in.Body.Stage)
	})
	type coupled struct {
		PipelineRef
		AppRef
	}
	act(s, op("RemovePipelineApp", "DELETE", "pipelines/{pipeline}/apps/{app}", "Take an app out of a pipeline"), func(ctx context.Context, in *coupled) error {
		return s.p.RemovePipelineApp(ctx, in.Pipeline, in.App)
	})
}

func promotions(s *server) {
	handleList(s, op("Promotions", "GET", "pipelines/{pipeline}/promotions", "List promotions, newest first"), func(ctx context.Context, in *PipelineRef) ([]stead.Promotion, error) {
		return s.p.Promotions(ctx, in.Pipeline)
	})
	type promote struct {
		PipelineRef
		Body stead.NewPromotion
	}
	handle(s, op("Promote", "POST", "pipelines/{pipeline}/promotions", "Release an app's image in apps behind it"), func(ctx context.Context, in *promote) (stead.Promotion, error) {
		return s.p.Promote(ctx, in.Pipeline, in.Body)
	})
}
