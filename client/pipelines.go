package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/steadpaas/stead"
)

// Pipelines lists pipelines of an org, or of all ("").
func (c *Client) Pipelines(ctx context.Context, org string) ([]stead.Pipeline, error) {
	q := url.Values{}
	set(q, "org", org)
	return items[stead.Pipeline](ctx, c, path("pipelines"), q)
}

// CreatePipeline makes a pipeline in an org ("": the default one).
func (c *Client) CreatePipeline(ctx context.Context, org, name string) (stead.Pipeline, error) {
	return send[stead.Pipeline](ctx, c, http.MethodPost, path("pipelines"), struct {
		Org  string `json:"org,omitempty"`
		Name string `json:"name"`
	}{org, name})
}

// Pipeline returns a pipeline with its apps, by ID or name.
func (c *Client) Pipeline(ctx context.Context, pipeline string) (stead.Pipeline, error) {
	return get[stead.Pipeline](ctx, c, path("pipelines", pipeline), nil)
}

// RenamePipeline gives a pipeline another name.
func (c *Client) RenamePipeline(ctx context.Context, pipeline, name string) (stead.Pipeline, error) {
	return send[stead.Pipeline](ctx, c, http.MethodPatch, path("pipelines", pipeline), map[string]string{"name": name})
}

// DestroyPipeline removes a pipeline. Its apps stay.
func (c *Client) DestroyPipeline(ctx context.Context, pipeline string) error {
	return remove(ctx, c, path("pipelines", pipeline), nil)
}

// SetPipelineApp puts an app at a stage of a pipeline.
func (c *Client) SetPipelineApp(ctx context.Context, pipeline, app string, stage stead.PipelineStage) (stead.Pipeline, error) {
	return send[stead.Pipeline](ctx, c, http.MethodPut, path("pipelines", pipeline, "apps", app), map[string]stead.PipelineStage{"stage": stage})
}

// RemovePipelineApp takes an app out of a pipeline; the app stays.
func (c *Client) RemovePipelineApp(ctx context.Context, pipeline, app string) error {
	return remove(ctx, c, path("pipelines", pipeline, "apps", app), nil)
}

// Promotions lists the promotions of a pipeline, newest first.
func (c *Client) Promotions(ctx context.Context, pipeline string) ([]stead.Promotion, error) {
	return items[stead.Promotion](ctx, c, path("pipelines", pipeline, "promotions"), nil)
}

// Promote releases an app's image in other apps of its pipeline.
func (c *Client) Promote(ctx context.Context, pipeline string, n stead.NewPromotion) (stead.Promotion, error) {
	return send[stead.Promotion](ctx, c, http.MethodPost, path("pipelines", pipeline, "promotions"), n)
}
