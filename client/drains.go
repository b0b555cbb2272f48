package client

import (
	"context"
	"net/http"

	"github.com/steadpaas/stead"
)

// Drains lists where the app's log lines are sent.
func (c *Client) Drains(ctx context.Context, app string) ([]stead.Drain, error) {
	return items[stead.Drain](ctx, c, path("apps", app, "drains"), nil)
}

// AddDrain has the app's log lines sent to a URL.
func (c *Client) AddDrain(ctx context.Context, app string, n stead.NewDrain) (stead.Drain, error) {
	return send[stead.Drain](ctx, c, http.MethodPost, path("apps", app, "drains"), n)
}

// RemoveDrain ends a drain, named by its ID, its token or its URL.
func (c *Client) RemoveDrain(ctx context.Context, app, drain string) error {
	return remove(ctx, c, path("apps", app, "drains", drain), nil)
}
