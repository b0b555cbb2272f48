package client

import (
	"context"
	"net/http"

	"github.com/steadpaas/stead"
)

// Schedules lists what the app runs at times.
func (c *Client) Schedules(ctx context.Context, app string) ([]stead.Schedule, error) {
	return items[stead.Schedule](ctx, c, path("apps", app, "schedules"), nil)
}

// AddSchedule has a task run at times.
func (c *Client) AddSchedule(ctx context.Context, app string, n stead.NewSchedule) (stead.Schedule, error) {
	return send[stead.Schedule](ctx, c, http.MethodPost, path("apps", app, "schedules"), n)
}

// UpdateSchedule changes what is not nil in the patch.
func (c *Client) UpdateSchedule(ctx context.Context, app string, id stead.ID, p stead.SchedulePatch) (stead.Schedule, error) {
	return send[stead.Schedule](ctx, c, http.MethodPatch, path("apps", app, "schedules", string(id)), p)
}

// RemoveSchedule ends a schedule.
func (c *Client) RemoveSchedule(ctx context.Context, app string, id stead.ID) error {
	return remove(ctx, c, path("apps", app, "schedules", string(id)), nil)
}
