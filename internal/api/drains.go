package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func drains(s *server) {
	handleList(s, op("Drains", "GET", "apps/{app}/drains", "List where the app's log lines are sent"), func(ctx context.Context, in *AppRef) ([]stead.Drain, error) {
		return s.p.Drains(ctx, in.App)
	})
	type newDrain struct {
		AppRef
		Body stead.NewDrain
	}
	handle(s, op("AddDrain", "POST", "apps/{app}/drains", "Send the app's log lines to a URL"), func(ctx context.Context, in *newDrain) (stead.Drain, error) {
		return s.p.AddDrain(ctx, in.App, in.Body)
	})
	type drain struct {
		AppRef
		Drain string `path:"drain" maxLength:"2000" doc:"ID, token or URL"`
	}
	act(s, op("RemoveDrain", "DELETE", "apps/{app}/drains/{drain}", "End a drain"), func(ctx context.Context, in *drain) error {
		return s.p.RemoveDrain(ctx, in.App, in.Drain)
	})
}
