package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func orgs(s *server) {
	handleList(s, op("Orgs", "GET", "orgs", "List orgs"), func(ctx context.Context, _ *none) ([]stead.Org, error) {
		return s.p.Orgs(ctx)
	})
	type newOrg struct {
		Body struct {
			Name string `json:"name" maxLength:"100"`
		}
	}
	handle(s, op("CreateOrg", "POST", "orgs", "Make an org with its default space"), func(ctx context.Context, in *newOrg) (stead.Org, error) {
		return s.p.CreateOrg(ctx, in.Body.Name)
	})
	type inOrg struct {
		Org string `query:"org" maxLength:"100" doc:"Only of this org."`
	}
	handleList(s, op("Spaces", "GET", "spaces", "List spaces"), func(ctx context.Context, in *inOrg) ([]stead.Space, error) {
		return s.p.Spaces(ctx, in.Org)
	})
	type newSpace struct {
		Body struct {
			Org  string `json:"org" maxLength:"100"`
			Name string `json:"name" maxLength:"100"`
		}
	}
	handle(s, op("CreateSpace", "POST", "spaces", "Make a space"), func(ctx context.Context, in *newSpace) (stead.Space, error) {
		return s.p.CreateSpace(ctx, in.Body.Org, in.Body.Name)
	})
	members(s)
}

func members(s *server) {
	type Place struct {
		Org   string `query:"org" required:"true" maxLength:"100"`
		Space string `query:"space" maxLength:"100" doc:"Absent: of the org."`
	}
	handleList(s, op("Members", "GET", "members", "List who has a role"), func(ctx context.Context, in *Place) ([]stead.Member, error) {
		return s.p.Members(ctx, in.Org, in.Space)
	})
	type member struct {
		Body struct {
			Org   string     `json:"org" maxLength:"100"`
			Space string     `json:"space,omitempty" maxLength:"100"`
			Email string     `json:"email" maxLength:"320"`
			Role  stead.Role `json:"role" maxLength:"40"`
		}
	}
	handle(s, op("SetMember", "PUT", "members", "Give a user a role in an org or a space"), func(ctx context.Context, in *member) (stead.Member, error) {
		return s.p.SetMember(ctx, in.Body.Org, in.Body.Space, in.Body.Email, in.Body.Role)
	})
	type who struct {
		Place
		Email string `query:"email" required:"true" maxLength:"320"`
	}
	act(s, op("RemoveMember", "DELETE", "members", "Take a user's role away"), func(ctx context.Context, in *who) error {
		return s.p.RemoveMember(ctx, in.Org, in.Space, in.Email)
	})
}
