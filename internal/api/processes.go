package api

import (
	"context"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

func processes(s *server) {
	handleList(s, op("Processes", "GET", "apps/{app}/processes", "List process types"), func(ctx context.Context, in *AppRef) ([]stead.Process, error) {
		return s.p.Processes(ctx, in.App)
	})
	type scale struct {
		AppRef
		Body struct {
			Changes []stead.Scale `json:"changes" minItems:"1" maxItems:"100" nullable:"false"`
		}
	}
	handleList(s, op("Scale", "PATCH", "apps/{app}/processes", "Change quantities and sizes, all or none"), func(ctx context.Context, in *scale) ([]stead.Process, error) {
		return s.p.Scale(ctx, in.App, in.Body.Changes)
	})
	type patch struct {
		AppRef
		Process string `path:"process" maxLength:"100"`
		Body    stead.ProcessPatch
	}
	handle(s, op("UpdateProcess", "PATCH", "apps/{app}/processes/{process}", "Change a process's size, health check or stop"), func(ctx context.Context, in *patch) (stead.Process, error) {
		p := platform.ProcessPatch{Size: in.Body.Size, Path: in.Body.Path, BootLimit: in.Body.BootLimit, StopGrace: in.Body.StopGrace, Surge: in.Body.Surge, IdleAfter: in.Body.IdleAfter}
		return s.p.UpdateProcess(ctx, in.App, in.Process, p)
	})
	type target struct {
		AppRef
		Body *struct {
			Target string `json:"target,omitempty" maxLength:"100" doc:"A process type; absent: the whole app."`
		}
	}
	name := func(in *target) string {
		if in.Body == nil {
			return ""
		}
		return in.Body.Target
	}
	act(s, op("Restart", "POST", "apps/{app}/restart", "Replace instances without losing a request; start what was stopped"), func(ctx context.Context, in *target) error {
		return s.p.Restart(ctx, in.App, name(in))
	})
	act(s, op("Stop", "POST", "apps/{app}/stop", "Stop instances and keep their quantity"), func(ctx context.Context, in *target) error {
		return s.p.Stop(ctx, in.App, name(in))
	})
	handleList(s, op("Instances", "GET", "apps/{app}/instances", "List what runs"), func(ctx context.Context, in *AppRef) ([]stead.Instance, error) {
		return s.p.Instances(ctx, in.App)
	})
}
