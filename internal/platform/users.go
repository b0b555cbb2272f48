package platform

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
	"github.com/steadpaas/stead/internal/store"
)

var emailGrammar = regexp.MustCompile(`^[^\s@<>"'(),:;\\\[\]/]+@[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// cleanEmail returns an address in the form it is kept: lower case.
func cleanEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if len(email) > 254 || !emailGrammar.MatchString(email) {
		return "", stead.Invalid("email", "this is not an e-mail address", "write it like ada@example.com")
	}
	return email, nil
}

// Bootstrap makes the first administrator, the default org, space and region,
// on an empty platform, and returns a token for it. On one that has users it
// fails with KindConflict. Anybody who can call it may.
func (p *Platform) Bootstrap(ctx context.Context, email, password string) (stead.Token, error) {
	ctx = p.as(ctx)
	u, err := p.newUser(ctx, email, "", password, true)
	if err != nil {
		return stead.Token{}, err
	}
	var token stead.Token
	err = p.change(ctx, func(w *work) error {
		users, err := w.Users()
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return stead.Conflict("the platform has an administrator already", "log in as "+users[0].Email+" or another user")
		}
		if err := w.InsertUser(u); err != nil {
			return err
		}
		w.actor = stead.Actor{UserID: u.ID, Email: u.Email, Admin: true, Scope: stead.ScopeAll}
		if err := w.record(store.Event{Event: stead.Event{Verb: "user.create", Data: map[string]any{"email": u.Email, "admin": true}}}); err != nil {
			return err
		}
		if _, err := w.createOrg(stead.DefaultName); err != nil {
			return err
		}
		for _, region := range p.Regions() {
			if err := w.InsertRegion(region, w.now); err != nil {
				return err
			}
		}
		token, err = w.createToken(u.User, "bootstrap", stead.ScopeAll, p.set.TokenTTL, true)
		return err
	})
	return token, err
}

// newUser checks and hashes outside a transaction, because that is slow. An
// empty password lets nobody log in: the account works by tokens and keys.
func (p *Platform) newUser(ctx context.Context, email, name, password string, admin bool) (store.User, error) {
	email, err := cleanEmail(email)
	if err != nil {
		return store.User{}, err
	}
	now := p.now().UTC().Truncate(time.Microsecond)
	u := store.User{User: stead.User{ID: stead.NewID(now), Email: email, Name: strings.TrimSpace(name), Admin: admin, CreatedAt: now}}
	if len(u.Name) > 200 {
		return u, stead.Invalid("name", "the name is longer than 200 bytes", "choose a shorter one")
	}
	if password != "" {
		if err := auth.CheckPassword("password", password); err != nil {
			return u, err
		}
		u.Password, err = p.passwords.Hash(ctx, password)
	} else if admin {
		err = stead.Invalid("password", "an administrator needs a password", "choose one of at least 8 characters")
	}
	return u, err
}

// Login checks a password and returns a new token, Secret included. Failures
// take the same time whether the user exists or not, and are rate-limited by
// address and by where they come from (auth.WithRemote).
func (p *Platform) Login(ctx context.Context, email, password, tokenName string) (stead.Token, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	succeeded, err := p.admit(ctx, email)
	if err != nil {
		return stead.Token{}, err
	}
	ctx = p.as(ctx)
	var u store.User
	err = p.view(ctx, func(w *work) (err error) {
		if u, err = w.User(email); errors.Is(err, store.ErrNotFound) || stead.IsID(email) {
			u, err = store.User{}, nil
		}
		return err
	})
	if err != nil {
		return stead.Token{}, err
	}
	ok, err := p.passwords.Verify(ctx, u.Password, password)
	if err != nil {
		return stead.Token{}, err
	}
	if !ok {
		p.log.Warn("login failed", "remote", auth.RemoteFrom(ctx))
		return stead.Token{}, badLogin()
	}
	succeeded()
	var t stead.Token
	err = p.change(ctx, func(w *work) error {
		now, err := w.User(string(u.ID))
		if err != nil || now.Password != u.Password {
			return orElse(err, badLogin()) // changed while we looked
		}
		w.actor = stead.Actor{UserID: u.ID, Email: u.Email, Admin: u.Admin, Scope: stead.ScopeAll}
		if err := w.DeleteExpired(u.ID, w.now); err != nil {
			return err
		}
		t, err = w.createToken(u.User, tokenName, stead.ScopeAll, p.set.TokenTTL, true)
		return err
	})
	return t, err
}

func badLogin() error {
	return &stead.Error{Kind: stead.KindUnauthenticated, Msg: "the e-mail address or the password is wrong", Hint: "check both, or ask an administrator to set a new password"}
}

// admit counts an attempt to log in; call succeeded if it was none to count.
func (p *Platform) admit(ctx context.Context, email string) (succeeded func(), err error) {
	one, err := p.byEmail.Try(email)
	if err != nil {
		return nil, err
	}
	remote := auth.RemoteFrom(ctx)
	if remote == "" {
		return one, nil
	}
	two, err := p.byRemote.Try(remote)
	if err != nil {
		one()
		return nil, err
	}
	return func() { one(); two() }, nil
}

// Me returns the user who acts.
func (p *Platform) Me(ctx context.Context) (u stead.User, err error) {
	err = p.view(ctx, func(w *work) error {
		v, err := w.User(string(w.actor.UserID))
		u = v.User
		return orElse(err, stead.NotFound("user", w.actor.Email))
	})
	return u, err
}

// Users returns all users, by e-mail. It needs an administrator.
func (p *Platform) Users(ctx context.Context) (out []stead.User, err error) {
	err = p.view(ctx, func(w *work) error {
		if !w.actor.Admin {
			return w.admin()
		}
		all, err := w.Users()
		for _, u := range all {
			out = append(out, u.User)
		}
		return err
	})
	return out, err
}

// CreateUser adds a user. It needs an administrator. Without a password, the
// account can be used by tokens and keys only.
func (p *Platform) CreateUser(ctx context.Context, email, name, password string, admin bool) (stead.User, error) {
	if err := p.view(ctx, (*work).admin); err != nil {
		return stead.User{}, err // before the slow hash
	}
	u, err := p.newUser(ctx, email, name, password, admin)
	if err != nil {
		return stead.User{}, err
	}
	err = p.change(ctx, func(w *work) error {
		if err := w.admin(); err != nil {
			return err
		}
		if err := w.InsertUser(u); err != nil {
			return taken(err, "there is a user "+u.Email+" already", "choose another address, or set that user's password")
		}
		return w.record(store.Event{Event: stead.Event{Verb: "user.create", Data: map[string]any{"email": u.Email, "admin": admin}}})
	})
	return u.User, err
}

// DeleteUser removes the user with that ID or e-mail address, tokens and keys
// included. It needs an administrator, who cannot remove itself.
func (p *Platform) DeleteUser(ctx context.Context, ref string) error {
	return p.change(ctx, func(w *work) error {
		if err := w.admin(); err != nil {
			return err
		}
		u, err := w.User(strings.ToLower(ref))
		if err != nil {
			return orElse(err, stead.NotFound("user", ref))
		}
		if u.ID == w.actor.UserID {
			return stead.Precondition("you cannot delete yourself", "have another administrator do it")
		}
		if err := w.Tx.DeleteUser(u.ID); err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "user.delete", Data: map[string]any{"email": u.Email}}})
	})
}

// SetPassword sets one's own password, or as an administrator that of the user
// with the ID or e-mail address, and revokes the login tokens but the caller's.
func (p *Platform) SetPassword(ctx context.Context, ref, password string) error {
	if err := auth.CheckPassword("password", password); err != nil {
		return err
	}
	var u store.User
	load := func(w *work) (err error) {
		u, err = w.account(ref)
		return err
	}
	if err := p.view(ctx, load); err != nil {
		return err
	}
	hash, err := p.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return p.change(ctx, func(w *work) error {
		if err := load(w); err != nil {
			return err
		}
		if err := w.Tx.SetPassword(u.ID, hash); err != nil {
			return err
		}
		if err := w.DeleteLogins(u.ID, w.actor.TokenID); err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "user.password", Data: map[string]any{"email": u.Email}}})
	})
}

// account returns the actor's own user (ref "", ID or address), or for an
// administrator anybody's.
func (w *work) account(ref string) (store.User, error) {
	ref = strings.ToLower(ref)
	if ref == "" || ref == w.actor.Email || stead.ID(ref) == w.actor.UserID {
		if err := w.self(); err != nil {
			return store.User{}, err
		}
		ref = string(w.actor.UserID)
	} else if !w.actor.Admin {
		return store.User{}, stead.NotFound("user", ref)
	} else if err := w.admin(); err != nil {
		return store.User{}, err
	}
	u, err := w.User(ref)
	return u, orElse(err, stead.NotFound("user", ref))
}
