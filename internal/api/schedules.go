package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func schedules(s *server) {
	handleList(s, op("Schedules", "GET", "apps/{app}/schedules", "List what runs at times"), func(ctx context.Context, in *AppRef) ([]stead.Schedule, error) {
		return s.p.Schedules(ctx, in.App)
	})
	type newSchedule struct {
		AppRef
		Body stead.NewSchedule
	}
	handle(s, op("AddSchedule", "POST", "apps/{app}/schedules", "Run a task at times"), func(ctx context.Context, in *newSchedule) (stead.Schedule, error) {
		return s.p.AddSchedule(ctx, in.App, in.Body)
	})
	type scheduleRef struct {
		AppRef
		Schedule stead.ID `path:"schedule" maxLength:"100"`
	}
	type patch struct {
		AppRef
		Schedule stead.ID `path:"schedule" maxLength:"100"`
		Body     stead.SchedulePatch
	}
	handle(s, op("UpdateSchedule", "PATCH", "apps/{app}/schedules/{schedule}", "Change, pause or resume a schedule"), func(ctx context.Context, in *patch) (stead.Schedule, error) {
		return s.p.UpdateSchedule(ctx, in.App, in.Schedule, in.Body)
	})
	act(s, op("RemoveSchedule", "DELETE", "apps/{app}/schedules/{schedule}", "End a schedule"), func(ctx context.Context, in *scheduleRef) error {
		return s.p.RemoveSchedule(ctx, in.App, in.Schedule)
	})
}
