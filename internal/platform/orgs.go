package platform

import (
	"context"
	"slices"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// Orgs returns the orgs that the actor is in, or in a space of; all of them for
// an administrator.
func (p *Platform) Orgs(ctx context.Context) (out []stead.Org, err error) {
	err = p.view(ctx, func(w *work) error {
		all, err := w.Orgs()
		if err != nil {
			return err
		}
		for _, o := range all {
			ok, err := w.seesOrg(o.ID)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, o)
			}
		}
		return nil
	})
	return out, err
}

func (w *work) seesOrg(id stead.ID) (bool, error) {
	if err := w.loadMembers(); err != nil {
		return false, err
	}
	return w.actor.Admin || slices.ContainsFunc(w.members, func(m stead.Member) bool { return m.OrgID == id }), nil
}

// org returns the org that ref names ("": the default one) if the actor is in it.
func (w *work) org(ref string) (stead.Org, error) {
	if ref == "" {
		ref = stead.DefaultName
	}
	o, err := w.Org(ref)
	if err != nil {
		return o, orElse(err, stead.NotFound("org", ref))
	}
	ok, err := w.seesOrg(o.ID)
	if err == nil && !ok {
		err = stead.NotFound("org", ref)
	}
	return o, err
}

// space returns the space that org and ref name, if the actor may act on it.
func (w *work) space(org, ref string, act stead.Action) (stead.Space, error) {
	if ref == "" {
		ref = stead.DefaultName
	}
	o, err := w.org(org)
	if err != nil {
		return stead.Space{}, err
	}
	s, err := w.Space(o.ID, ref)
	if err != nil {
		return s, orElse(err, stead.NotFound("space", ref))
	}
	return s, w.need(act, o.ID, s.ID, "space", ref)
}

// CreateOrg makes an org with its default space. It needs an administrator of
// the platform, who becomes the org's admin.
func (p *Platform) CreateOrg(ctx context.Context, name string) (o stead.Org, err error) {
	if err := stead.CheckName("name", name); err != nil {
		return o, err
	}
	err = p.change(ctx, func(w *work) (err error) {
		if err := w.admin(); err != nil {
			return err
		}
		o, err = w.createOrg(name)
		return taken(err, "there is an org "+name+" already", "choose another name")
	})
	return o, err
}

func (w *work) createOrg(name string) (stead.Org, error) {
	o := stead.Org{ID: stead.NewID(w.now), Name: name, CreatedAt: w.now}
	if err := w.InsertOrg(o); err != nil {
		return o, err
	}
	if err := w.record(store.Event{Event: stead.Event{Verb: "org.create", OrgID: o.ID, Data: map[string]any{"org": name}}}); err != nil {
		return o, err
	}
	if w.actor.UserID != "" {
		if err := w.SetMember(stead.Member{UserID: w.actor.UserID, OrgID: o.ID, Role: stead.RoleAdmin}); err != nil {
			return o, err
		}
	}
	_, err := w.createSpace(o, stead.DefaultName)
	return o, err
}

// Spaces returns the spaces that the actor can see, of one org or (org "") of all.
func (p *Platform) Spaces(ctx context.Context, org string) (out []stead.Space, err error) {
	err = p.view(ctx, func(w *work) error {
		if org != "" {
			if _, err := w.org(org); err != nil {
				return err
			}
		}
		all, err := w.Spaces()
		if err != nil {
			return err
		}
		for _, s := range all {
			ok, err := w.may(stead.ActRead, s.OrgID, s.ID)
			if err != nil {
				return err
			}
			if ok && (org == "" || s.Org == org || string(s.OrgID) == org) {
				out = append(out, s)
			}
		}
		return nil
	})
	return out, err
}

// CreateSpace makes a space in an org. It needs an admin of the org.
func (p *Platform) CreateSpace(ctx context.Context, org, name string) (s stead.Space, err error) {
	if err := stead.CheckName("name", name); err != nil {
		return s, err
	}
	err = p.change(ctx, func(w *work) error {
		o, err := w.org(org)
		if err != nil {
			return err
		}
		if err := w.manages(o, ""); err != nil {
			return err
		}
		s, err = w.createSpace(o, name)
		return taken(err, "the org "+o.Name+" has a space "+name+" already", "choose another name")
	})
	return s, err
}

func (w *work) createSpace(o stead.Org, name string) (stead.Space, error) {
	s := stead.Space{ID: stead.NewID(w.now), OrgID: o.ID, Org: o.Name, Name: name, CreatedAt: w.now}
	if err := w.InsertSpace(s); err != nil {
		return s, err
	}
	return s, w.record(store.Event{SpaceID: s.ID, Event: stead.Event{Verb: "space.create", OrgID: o.ID, Data: map[string]any{"space": o.Name + "/" + name}}})
}

// manages fails unless the actor is an admin of the org (which it sees), or of
// the space.
func (w *work) manages(o stead.Org, space stead.ID) error {
	role, err := w.role(o.ID, space)
	if err == nil && !w.actor.May(stead.ActAdmin, role) {
		err = w.forbidden(stead.ActAdmin, "org", o.Name, role)
	}
	return err
}

// place returns an org and, if one is named, the id of a space of it.
func (w *work) place(org, space string) (o stead.Org, id stead.ID, err error) {
	if o, err = w.org(org); err != nil || space == "" {
		return o, "", err
	}
	s, err := w.space(org, space, stead.ActRead)
	return o, s.ID, err
}

// Members returns who is in an org (space "") or in one space of it.
func (p *Platform) Members(ctx context.Context, org, space string) (out []stead.Member, err error) {
	err = p.view(ctx, func(w *work) error {
		o, id, err := w.place(org, space)
		if err != nil {
			return err
		}
		if err := w.need(stead.ActRead, o.ID, id, "org", o.Name); err != nil {
			return err
		}
		out, err = w.Members(o.ID, id)
		return err
	})
	return out, err
}

// SetMember gives a user a role in an org (space "") or in one space of it. It
// needs an admin there.
func (p *Platform) SetMember(ctx context.Context, org, space, email string, role stead.Role) (m stead.Member, err error) {
	if err := stead.CheckRole("role", role); err != nil {
		return m, err
	}
	err = p.change(ctx, func(w *work) error {
		o, id, u, err := w.managed(org, space, email)
		if err != nil {
			return err
		}
		m = stead.Member{UserID: u.ID, Email: u.Email, OrgID: o.ID, SpaceID: id, Role: role}
		if err := w.SetMember(m); err != nil {
			return err
		}
		return w.record(store.Event{SpaceID: id, Event: stead.Event{Verb: "member.set", OrgID: o.ID,
			Data: map[string]any{"email": u.Email, "role": role, "space": space}}})
	})
	return m, err
}

// RemoveMember takes a user's role in an org (space "") or in one space of it.
func (p *Platform) RemoveMember(ctx context.Context, org, space, email string) error {
	return p.change(ctx, func(w *work) error {
		o, id, u, err := w.managed(org, space, email)
		if err != nil {
			return err
		}
		if err := w.DeleteMember(u.ID, o.ID, id); err != nil {
			return orElse(err, stead.NotFound("member", email))
		}
		return w.record(store.Event{SpaceID: id, Event: stead.Event{Verb: "member.remove", OrgID: o.ID,
			Data: map[string]any{"email": u.Email, "space": space}}})
	})
}

// managed returns a place that the actor manages, and a user.
func (w *work) managed(org, space, email string) (o stead.Org, id stead.ID, u store.User, err error) {
	if o, id, err = w.place(org, space); err != nil {
		return o, id, u, err
	}
	if err = w.manages(o, id); err != nil {
		return o, id, u, err
	}
	email, err = cleanEmail(email)
	if err != nil {
		return o, id, u, err
	}
	u, err = w.User(email)
	return o, id, u, orElse(err, &stead.Error{Kind: stead.KindNotFound, Field: "email", Msg: "there is no user " + email,
		Hint: "check the address, or have an administrator make the account: stead users create " + email})
}
