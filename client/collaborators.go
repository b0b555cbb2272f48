package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/steadpaas/stead"
)

// Collaborators returns who has a role in the app itself.
func (c *Client) Collaborators(ctx context.Context, app string) ([]stead.Collaborator, error) {
	return items[stead.Collaborator](ctx, c, path("apps", app, "collaborators"), nil)
}

// SetCollaborator gives a user a role in the app.
func (c *Client) SetCollaborator(ctx context.Context, app, email string, role stead.Role) (stead.Collaborator, error) {
	in := struct {
		Email string     `json:"email"`
		Role  stead.Role `json:"role"`
	}{email, role}
	return send[stead.Collaborator](ctx, c, http.MethodPut, path("apps", app, "collaborators"), in)
}

// RemoveCollaborator takes a user's role in the app away.
func (c *Client) RemoveCollaborator(ctx context.Context, app, email string) error {
	q := url.Values{}
	set(q, "email", email)
	return remove(ctx, c, path("apps", app, "collaborators"), q)
}

// MoveApp puts the app into another space.
func (c *Client) MoveApp(ctx context.Context, app, org, space string) (stead.App, error) {
	in := struct {
		Org   string `json:"org,omitempty"`
		Space string `json:"space,omitempty"`
	}{org, space}
	return send[stead.App](ctx, c, http.MethodPost, path("apps", app, "move"), in)
}
