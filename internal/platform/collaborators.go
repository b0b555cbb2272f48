package platform

import (
	"context"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// maxCollaborators is how many an app may have.
const maxCollaborators = 200

// Collaborators returns who has a role in the app itself, beside the members of
// its space and org.
func (p *Platform) Collaborators(ctx context.Context, ref string) (out []stead.Collaborator, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.Collaborators(a.ID)
		return err
	})
	return out, err
}

// SetCollaborator gives a user a role in one app. It needs an admin of the app.
func (p *Platform) SetCollaborator(ctx context.Context, ref, email string, role stead.Role) (c stead.Collaborator, err error) {
	if err := stead.CheckRole("role", role); err != nil {
		return c, err
	}
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActAdmin)
		if err != nil {
			return err
		}
		u, err := w.known(email)
		if err != nil {
			return err
		}
		have, err := w.Collaborators(a.ID)
		if err != nil {
			return err
		}
		if len(have) >= maxCollaborators {
			return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 200 collaborators already", Hint: "make them members of its space"}
		}
		c = stead.Collaborator{AppID: a.ID, UserID: u.ID, Email: u.Email, Role: role, CreatedAt: w.now}
		if err := w.SetCollaborator(c); err != nil {
			return err
		}
		return w.event("collaborator.set", &a, map[string]any{"email": u.Email, "role": role})
	})
	return c, err
}

// RemoveCollaborator takes a user's role in one app. It needs an admin of the
// app, or is for oneself.
func (p *Platform) RemoveCollaborator(ctx context.Context, ref, email string) error {
	return p.change(ctx, func(w *work) error {
		act := stead.ActAdmin
		if strings.EqualFold(email, w.actor.Email) || email == string(w.actor.UserID) {
			act = stead.ActRead
		}
		a, err := w.app(ref, act)
		if err != nil {
			return err
		}
		if act == stead.ActRead {
			if err := w.self(); err != nil {
				return err
			}
		}
		u, err := w.known(email)
		if err != nil {
			return err
		}
		if err := w.DeleteCollaborator(a.ID, u.ID); err != nil {
			return orElse(err, stead.NotFound("collaborator", email))
		}
		return w.event("collaborator.remove", &a, map[string]any{"email": u.Email})
	})
}

// known returns the user with the ID or e-mail address.
func (w *work) known(ref string) (store.User, error) {
	u, err := w.User(strings.ToLower(strings.TrimSpace(ref)))
	return u, orElse(err, stead.NotFound("user", ref))
}

// MoveApp puts an app into another space. It needs an admin of the app and a
// developer of the space. Its collaborators go when it leaves its org.
func (p *Platform) MoveApp(ctx context.Context, ref, org, space string) (out stead.App, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActAdmin)
		if err != nil {
			return err
		}
		s, err := w.space(org, space, stead.ActWrite)
		if err != nil {
			return err
		}
		was := a
		if s.ID == a.SpaceID {
			out = p.show(a)
			return nil
		}
		if err := w.move(a, s); err != nil {
			return err
		}
		if a, err = w.AppByID(a.ID); err != nil {
			return err
		}
		out = p.show(a)
		w.wake(TopicApps)
		data := map[string]any{"from": was.Org + "/" + was.Space, "to": s.Org + "/" + s.Name}
		if err := w.event("app.leave", &was, data); err != nil { // for those who saw it there
			return err
		}
		return w.event("app.move", &a, data)
	})
	return out, err
}

func (w *work) move(a store.App, s stead.Space) error {
	if limit := w.p.set.MaxApps; limit > 0 {
		n, err := w.CountApps(s.ID)
		if err != nil {
			return err
		}
		if n >= limit {
			return &stead.Error{Kind: stead.KindLimit, Msg: "the space " + s.Org + "/" + s.Name + " has as many apps as it may", Hint: "choose another, or ask an administrator for more"}
		}
	}
	if err := w.MoveApp(a.ID, s.ID); err != nil {
		return taken(err, "there is an app "+a.Name+" in "+s.Org+"/"+s.Name+" already", "rename one of them first")
	}
	if s.OrgID == a.OrgID {
		return nil
	}
	domains, err := w.Domains(a.ID)
	if err != nil {
		return err
	}
	there := a
	there.OrgID = s.OrgID
	for _, d := range domains {
		if d.Platform {
			continue
		}
		if err := w.coveredByOther(there, d.Host); err != nil {
			return err
		}
	}
	return w.DeleteCollaborators(a.ID)
}
