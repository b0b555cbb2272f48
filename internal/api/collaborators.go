package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func collaborators(s *server) {
	handleList(s, op("Collaborators", "GET", "apps/{app}/collaborators", "List who has a role in the app itself"), func(ctx context.Context, in *AppRef) ([]stead.Collaborator, error) {
		return s.p.Collaborators(ctx, in.App)
	})
	type collaborator struct {
		AppRef
		Body struct {
			Email string     `json:"email" maxLength:"320"`
			Role  stead.Role `json:"role" maxLength:"40"`
		}
	}
	handle(s, op("SetCollaborator", "PUT", "apps/{app}/collaborators", "Give a user a role in the app"), func(ctx context.Context, in *collaborator) (stead.Collaborator, error) {
		return s.p.SetCollaborator(ctx, in.App, in.Body.Email, in.Body.Role)
	})
	type who struct {
		AppRef
		Email string `query:"email" required:"true" maxLength:"320"`
	}
	act(s, op("RemoveCollaborator", "DELETE", "apps/{app}/collaborators", "Take a user's role in the app away"), func(ctx context.Context, in *who) error {
		return s.p.RemoveCollaborator(ctx, in.App, in.Email)
	})
	type move struct {
		AppRef
		Body struct {
			Org   string `json:"org,omitempty" maxLength:"100"`
			Space string `json:"space,omitempty" maxLength:"100"`
		}
	}
	handle(s, op("MoveApp", "POST", "apps/{app}/move", "Put the app into another space"), func(ctx context.Context, in *move) (stead.App, error) {
		return s.p.MoveApp(ctx, in.App, in.Body.Org, in.Body.Space)
	})
}
