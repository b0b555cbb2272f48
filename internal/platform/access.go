package platform

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// work is one use-case in its transaction: who acts, when, and what to wake.
// It is the only way to the store, and things that belong to somebody are only
// loaded with the actor.
type work struct {
	*store.Tx
	p       *Platform
	actor   stead.Actor
	now     time.Time
	request string
	members []stead.Member // of the actor; loaded once, with grants
	grants  []stead.Collaborator
	loaded  bool
	wakes   []Topic
}

// view runs a use-case that only reads.
func (p *Platform) view(ctx context.Context, fn func(*work) error) error {
	return p.do(ctx, p.d.Store.View, fn)
}

// change runs a use-case that writes, and wakes the loops when it is committed.
func (p *Platform) change(ctx context.Context, fn func(*work) error) error {
	return p.do(ctx, p.d.Store.Update, fn)
}

func (p *Platform) do(ctx context.Context, run func(context.Context, func(*store.Tx) error) error, fn func(*work) error) error {
	actor := stead.ActorFrom(ctx)
	if actor == (stead.Actor{}) {
		return &stead.Error{Kind: stead.KindUnauthenticated, Msg: "you are not logged in", Hint: "run stead login, or send a token"}
	}
	if p.d.Store == nil {
		return stead.Unavailable("the platform has no database", "start it with one", nil)
	}
	var w *work
	err := run(ctx, func(tx *store.Tx) error {
		w = &work{Tx: tx, p: p, actor: actor, now: p.now().UTC().Truncate(time.Microsecond), request: stead.RequestIDFrom(ctx)}
		return fn(w)
	})
	if err != nil {
		return err
	}
	p.bell.ring(w.wakes...)
	return nil
}

// as returns a context in which the platform itself acts.
func (p *Platform) as(ctx context.Context) context.Context { return stead.WithActor(ctx, stead.System) }

func (w *work) wake(t ...Topic) { w.wakes = append(w.wakes, t...) }

// intend has the loops carry a change of an app out, and counts it: the app is
// neither routed nor settled until they have.
func (w *work) intend(a *store.App) error {
	w.wake(TopicApps)
	a.Wanted++
	return w.AppWanted(a.ID)
}

// intended is intend with the change's event.
func (w *work) intended(verb string, a *store.App, data map[string]any) error {
	if err := w.intend(a); err != nil {
		return err
	}
	return w.event(verb, a, data)
}

// event records a change of an app.
func (w *work) event(verb string, a *store.App, data map[string]any) error {
	return w.record(store.Event{SpaceID: a.SpaceID, Event: stead.Event{Verb: verb, OrgID: a.OrgID, AppID: a.ID, App: a.Name, Data: data}})
}

func (w *work) record(e store.Event) error {
	e.ID, e.At, e.Actor, e.RequestID = stead.NewID(w.now), w.now, w.actor.Email, w.request
	w.wake(TopicEvents)
	return w.InsertEvent(e)
}

// role returns what the actor is in a space (or in an org, with no space).
func (w *work) role(org, space stead.ID) (stead.Role, error) {
	if err := w.loadMembers(); err != nil {
		return stead.RoleNone, err
	}
	role := stead.RoleNone
	for _, m := range w.members {
		if m.OrgID == org && (m.SpaceID == "" || m.SpaceID == space) {
			role = stead.MaxRole(role, m.Role)
		}
	}
	return role, nil
}

func (w *work) loadMembers() (err error) {
	if !w.loaded && w.actor.UserID != "" {
		if w.members, err = w.Memberships(w.actor.UserID); err != nil {
			return err
		}
		w.grants, err = w.Collaborations(w.actor.UserID)
	}
	w.loaded = err == nil
	return err
}

// may reports whether the actor may act on what lives in a space.
func (w *work) may(act stead.Action, org, space stead.ID) (bool, error) {
	role, err := w.role(org, space)
	return w.actor.May(act, role), err
}

// roleIn returns what the actor is in an app: in its space, or as a collaborator.
func (w *work) roleIn(a store.App) (stead.Role, error) {
	role, err := w.role(a.OrgID, a.SpaceID)
	for _, g := range w.grants {
		if g.AppID == a.ID {
			role = stead.MaxRole(role, g.Role)
		}
	}
	return role, err
}

// sees reports whether the actor may see an app.
func (w *work) sees(a store.App) (bool, error) {
	role, err := w.roleIn(a)
	return w.actor.May(stead.ActRead, role), err
}

// need is may as an error: missing things are not found, others forbidden.
func (w *work) need(act stead.Action, org, space stead.ID, noun, ref string) error {
	role, err := w.role(org, space)
	if err != nil {
		return err
	}
	return w.allowed(act, role, noun, ref)
}

func (w *work) allowed(act stead.Action, role stead.Role, noun, ref string) error {
	switch {
	case !w.actor.May(stead.ActRead, role):
		return stead.NotFound(noun, ref)
	case !w.actor.May(act, role):
		return w.forbidden(act, noun, ref, role)
	}
	return nil
}

func (w *work) forbidden(act stead.Action, noun, ref string, role stead.Role) error {
	a := w.actor
	a.Scope = stead.ScopeAll
	if a.May(act, role) {
		return denied("your token may only "+string(w.actor.Scope)+", which does not allow this for "+noun+" "+ref, "use a token with a wider scope")
	}
	return denied("your role "+string(role)+" does not allow this for "+noun+" "+ref, "ask an administrator of its org for a larger role")
}

func denied(msg, hint string) error {
	return &stead.Error{Kind: stead.KindForbidden, Msg: msg, Hint: hint}
}

// app returns the app that ref names if the actor may act on it.
func (w *work) app(ref string, act stead.Action) (store.App, error) {
	found, err := w.candidates(ref)
	if err != nil {
		return store.App{}, err
	}
	seen := found[:0]
	for _, a := range found {
		ok, err := w.sees(a)
		if err != nil {
			return store.App{}, err
		}
		if ok {
			seen = append(seen, a)
		}
	}
	switch len(seen) {
	case 0:
		return store.App{}, stead.NotFound("app", ref)
	case 1:
		role, err := w.roleIn(seen[0])
		if err != nil {
			return store.App{}, err
		}
		return seen[0], w.allowed(act, role, "app", ref)
	}
	return store.App{}, ambiguous(ref, seen)
}

// candidates returns the apps that ref may mean, whoever asks.
func (w *work) candidates(ref string) ([]store.App, error) {
	if stead.IsID(ref) {
		a, err := w.AppByID(stead.ID(ref))
		if errors.Is(err, store.ErrNotFound) || err == nil && a.DestroyedAt != nil {
			return nil, nil
		}
		return []store.App{a}, err
	}
	f := strings.Split(ref, "/")
	if len(f) > 3 || slices.ContainsFunc(f, func(s string) bool { return stead.CheckName("app", s) != nil }) {
		return nil, nil // nothing has such a name
	}
	f = append(make([]string, 3-len(f)), f...)
	return w.AppsNamed(f[0], f[1], f[2])
}

func ambiguous(ref string, apps []store.App) error {
	paths := make([]string, 0, len(apps))
	for _, a := range apps {
		paths = append(paths, path(a))
	}
	return stead.Conflict("several apps are named "+ref, "say which: "+strings.Join(paths, ", "))
}

func path(a store.App) string { return a.Org + "/" + a.Space + "/" + a.Name }

// admin fails unless the actor is an operator with a full token.
func (w *work) admin() error {
	if !w.actor.Admin || w.actor.Scope != stead.ScopeAll {
		return denied("only an administrator of the platform may do this", "log in as one, or ask one")
	}
	return nil
}

// self fails unless the actor is a person whose token may do everything: what
// changes an account must not be reached with a narrow token.
func (w *work) self() error {
	if w.actor.UserID == "" {
		return denied("this is for people, not for the platform itself", "log in as a user")
	}
	if w.actor.Scope != stead.ScopeAll {
		return denied("your token may only "+string(w.actor.Scope)+", which does not allow changes of your account", "use a token with scope all")
	}
	return nil
}

// system fails unless the platform itself acts.
func (w *work) system() error {
	if w.actor != stead.System {
		return denied("only the platform itself may do this", "it is not for people")
	}
	return nil
}

// alive fails when the actor's account or token is gone: long streams ask.
func (w *work) alive() error {
	if w.actor.UserID == "" {
		return nil
	}
	gone := &stead.Error{Kind: stead.KindUnauthenticated, Msg: "your token has been revoked or has expired", Hint: "run stead login"}
	if _, err := w.User(string(w.actor.UserID)); err != nil {
		return orElse(err, gone)
	}
	if w.actor.TokenID == "" {
		return nil
	}
	all, err := w.Tokens(w.actor.UserID)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID == w.actor.TokenID && (t.ExpiresAt == nil || w.now.Before(*t.ExpiresAt)) {
			return nil
		}
	}
	return gone
}

// orElse returns missing if err says that a row is not there.
func orElse(err, missing error) error {
	if errors.Is(err, store.ErrNotFound) {
		return missing
	}
	return err
}

// taken returns conflict if err says that a row is there already.
func taken(err error, msg, hint string) error {
	if errors.Is(err, store.ErrDuplicate) {
		return stead.Conflict(msg, hint)
	}
	return err
}
