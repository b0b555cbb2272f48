package api

import (
	"context"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// AppRef is the part of an input that names an app.
type AppRef struct {
	App string `path:"app" maxLength:"200" doc:"ID, name, or path (org/space/name, escaped)"`
}

func apps(s *server) {
	type within struct {
		Org   string `query:"org" maxLength:"100"`
		Space string `query:"space" maxLength:"100"`
	}
	handleList(s, op("Apps", "GET", "apps", "List apps"), func(ctx context.Context, in *within) ([]stead.App, error) {
		return s.p.Apps(ctx, in.Org, in.Space)
	})
	type newApp struct{ Body *stead.NewApp }
	handle(s, op("CreateApp", "POST", "apps", "Make an app"), func(ctx context.Context, in *newApp) (stead.App, error) {
		if in.Body == nil {
			return s.p.CreateApp(ctx, platform.NewApp{})
		}
		n := platform.NewApp{Name: in.Body.Name, Org: in.Body.Org, Space: in.Body.Space, Region: in.Body.Region}
		return s.p.CreateApp(ctx, n)
	})
	handle(s, op("App", "GET", "apps/{app}", "An app"), func(ctx context.Context, in *AppRef) (stead.App, error) {
		return s.p.App(ctx, in.App)
	})
	type await struct {
		AppRef
		For   string `query:"for" enum:"routed,settled" default:"settled" doc:"What to wait for: a field of the app."`
		Limit int    `query:"limit" minimum:"0" maximum:"60" default:"30" doc:"Of the wait, in seconds."`
	}
	handle(s, op("AwaitApp", "GET", "apps/{app}/wait", "An app, when its changes are carried out or the limit is over"), func(ctx context.Context, in *await) (stead.App, error) {
		return s.p.AwaitApp(ctx, in.App, platform.Stage(in.For), time.Duration(in.Limit)*time.Second)
	})
	type patch struct {
		AppRef
		Body stead.AppPatch
	}
	handle(s, op("UpdateApp", "PATCH", "apps/{app}", "Rename an app, or set its maintenance mode"), func(ctx context.Context, in *patch) (stead.App, error) {
		return s.p.UpdateApp(ctx, in.App, platform.AppPatch{Name: in.Body.Name, Maintenance: in.Body.Maintenance})
	})
	act(s, op("DestroyApp", "DELETE", "apps/{app}", "Destroy an app and all that belongs to it"), func(ctx context.Context, in *AppRef) error {
		return s.p.DestroyApp(ctx, in.App)
	})
}
