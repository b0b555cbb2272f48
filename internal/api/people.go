package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func people(s *server) {
	type login struct {
		Body struct {
			Email    string `json:"email" maxLength:"320"`
			Password string `json:"password" maxLength:"1024"`
			Name     string `json:"name,omitempty" maxLength:"100" doc:"What the token is for."`
		}
	}
	handle(s, op("Login", "POST", "login", "Log in: a password for a token", open), func(ctx context.Context, in *login) (stead.Token, error) {
		return s.p.Login(ctx, in.Body.Email, in.Body.Password, in.Body.Name)
	})
	handle(s, op("Me", "GET", "me", "The user behind the token"), func(ctx context.Context, _ *none) (stead.User, error) {
		return s.p.Me(ctx)
	})
	handleList(s, op("Users", "GET", "users", "List users"), func(ctx context.Context, _ *none) ([]stead.User, error) {
		return s.p.Users(ctx)
	})
	handle(s, op("CreateUser", "POST", "users", "Make a user"), func(ctx context.Context, in *struct{ Body stead.NewUser }) (stead.User, error) {
		return s.p.CreateUser(ctx, in.Body.Email, in.Body.Name, in.Body.Password, in.Body.Admin)
	})
	act(s, op("DeleteUser", "DELETE", "users/{user}", "Remove a user, by ID or e-mail"), func(ctx context.Context, in *UserRef) error {
		return s.p.DeleteUser(ctx, in.User)
	})
	type password struct {
		UserRef
		Body struct {
			Password string `json:"password" maxLength:"1024"`
		}
	}
	act(s, op("SetPassword", "PUT", "users/{user}/password", "Set a user's password; ends the user's other logins"), func(ctx context.Context, in *password) error {
		return s.p.SetPassword(ctx, in.User, in.Body.Password)
	})
}

// UserRef is the part of an input that names a user.
type UserRef struct {
	User string `path:"user" maxLength:"320" doc:"ID or e-mail"`
}
