package platform

import (
	"context"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// UpdateMe changes the name of the user who acts.
func (p *Platform) UpdateMe(ctx context.Context, name string) (u stead.User, err error) {
	name = strings.TrimSpace(name)
	if len(name) > 200 || strings.ContainsAny(name, "\n\r\x00") {
		return u, stead.Invalid("name", "the name is not one line of at most 200 bytes", "choose a shorter one")
	}
	err = p.change(ctx, func(w *work) error {
		if err := w.self(); err != nil {
			return err
		}
		if err := w.SetUserName(w.actor.UserID, name); err != nil {
			return orElse(err, stead.NotFound("user", w.actor.Email))
		}
		v, err := w.User(string(w.actor.UserID))
		if u = v.User; err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "user.update", Data: map[string]any{"email": u.Email}}})
	})
	return u, err
}

// ConfirmPassword fails unless the password is that of the user who acts.
// Attempts count as those to log in do.
func (p *Platform) ConfirmPassword(ctx context.Context, password string) error {
	var u store.User
	err := p.view(ctx, func(w *work) (err error) {
		if err := w.self(); err != nil {
			return err
		}
		u, err = w.User(string(w.actor.UserID))
		return err
	})
	if err != nil {
		return err
	}
	succeeded, err := p.admit(ctx, u.Email)
	if err != nil {
		return err
	}
	ok, err := p.passwords.Verify(ctx, u.Password, password)
	if err != nil {
		return err
	}
	if !ok {
		return denied("the present password is wrong", "check it, or ask an administrator to set a new one")
	}
	succeeded()
	return nil
}

// RenameToken changes what one of the actor's tokens says it is for.
func (p *Platform) RenameToken(ctx context.Context, id stead.ID, name string) (t stead.Token, err error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 100 || strings.ContainsAny(name, "\n\r\x00") {
		return t, stead.Invalid("name", "the token's name is not one short line", "say what it is for, such as laptop or ci")
	}
	err = p.change(ctx, func(w *work) error {
		if err := w.self(); err != nil {
			return err
		}
		if err := w.SetTokenName(w.actor.UserID, id, name); err != nil {
			return orElse(err, stead.NotFound("token", string(id)))
		}
		v, err := w.token(id)
		t = v.Token
		if err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "token.rename", Data: map[string]any{"token": id, "name": name}}})
	})
	return t, err
}

// ReplaceToken revokes one of the actor's tokens and returns a new one of the
// same name, scope and length of life, Secret included.
func (p *Platform) ReplaceToken(ctx context.Context, id stead.ID) (t stead.Token, err error) {
	err = p.change(ctx, func(w *work) error {
		if err := w.self(); err != nil {
			return err
		}
		old, err := w.token(id)
		if err != nil {
			return err
		}
		ttl := time.Duration(0)
		if old.ExpiresAt != nil {
			ttl = old.ExpiresAt.Sub(old.CreatedAt)
		}
		u, err := w.User(string(w.actor.UserID))
		if err != nil {
			return orElse(err, stead.NotFound("user", w.actor.Email))
		}
		if t, err = w.createToken(u.User, old.Name, old.Scope, ttl, old.Login); err != nil {
			return err
		}
		if err := w.DeleteToken(w.actor.UserID, id); err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "token.revoke", Data: map[string]any{"token": id}}})
	})
	return t, err
}

// token returns one of the actor's tokens.
func (w *work) token(id stead.ID) (store.Token, error) {
	all, err := w.Tokens(w.actor.UserID)
	for _, t := range all {
		if t.ID == id {
			return t, err
		}
	}
	if err == nil {
		err = stead.NotFound("token", string(id))
	}
	return store.Token{}, err
}
