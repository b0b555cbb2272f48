package platform

import (
	"context"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
	"github.com/steadpaas/stead/internal/store"
)

// touchEvery is how exact Token.UsedAt is: a write for each request would cost
// more than it tells.
const touchEvery = 5 * time.Minute

// Authenticate returns the actor behind a token's secret.
func (p *Platform) Authenticate(ctx context.Context, secret string) (stead.Actor, error) {
	unknown := &stead.Error{Kind: stead.KindUnauthenticated, Msg: "the token is not valid: unknown, revoked or expired", Hint: "run stead login, or make a new token"}
	if !auth.IsToken(secret) {
		return stead.Actor{}, unknown
	}
	ctx = p.as(ctx)
	var t store.Token
	var u store.User
	err := p.view(ctx, func(w *work) (err error) {
		if t, err = w.TokenByHash(auth.HashToken(secret)); err != nil {
			return orElse(err, unknown)
		}
		if t.ExpiresAt != nil && !w.now.Before(*t.ExpiresAt) {
			return unknown
		}
		u, err = w.User(string(t.UserID))
		return orElse(err, unknown)
	})
	if err != nil {
		return stead.Actor{}, err
	}
	if t.UsedAt == nil || p.now().Sub(*t.UsedAt) > touchEvery {
		if err := p.change(ctx, func(w *work) error { return w.TouchToken(t.ID, w.now) }); err != nil {
			p.log.Warn("token use not recorded", "err", err)
		}
	}
	return stead.Actor{UserID: u.ID, Email: u.Email, Admin: u.Admin, Scope: t.Scope, TokenID: t.ID}, nil
}

// AuthenticateKey returns the actor behind an SSH key's fingerprint. A key may
// do what a token of scope write may.
func (p *Platform) AuthenticateKey(ctx context.Context, fingerprint string) (a stead.Actor, err error) {
	err = p.view(p.as(ctx), func(w *work) error {
		unknown := &stead.Error{Kind: stead.KindUnauthenticated, Msg: "the SSH key belongs to nobody here", Hint: "add it with: stead keys add"}
		k, err := w.SSHKeyByFingerprint(fingerprint)
		if err != nil {
			return orElse(err, unknown)
		}
		u, err := w.User(string(k.UserID))
		a = stead.Actor{UserID: u.ID, Email: u.Email, Admin: u.Admin, Scope: stead.ScopeWrite}
		return orElse(err, unknown)
	})
	return a, err
}

// Tokens returns the actor's tokens, newest first.
func (p *Platform) Tokens(ctx context.Context) (out []stead.Token, err error) {
	err = p.view(ctx, func(w *work) error {
		all, err := w.Tokens(w.actor.UserID)
		for _, t := range all {
			out = append(out, t.Token)
		}
		return err
	})
	return out, err
}

// CreateToken makes a token for the actor, never wider than the one it holds.
// ttl 0 never expires.
func (p *Platform) CreateToken(ctx context.Context, name string, scope stead.Scope, ttl time.Duration) (t stead.Token, err error) {
	if err := stead.CheckScope("scope", scope); err != nil {
		return t, err
	}
	if ttl < 0 {
		return t, stead.Invalid("ttl", "a token cannot expire in the past", "give a positive duration, or 0 for never")
	}
	err = p.change(ctx, func(w *work) error {
		wider := scope == stead.ScopeAll && w.actor.Scope != stead.ScopeAll
		if w.actor.UserID == "" || w.actor.Scope == stead.ScopeRead || wider {
			return denied("your token may only "+string(w.actor.Scope)+", and cannot make a token of scope "+string(scope), "use a token with scope all")
		}
		u, err := w.User(string(w.actor.UserID))
		if err != nil {
			return orElse(err, stead.NotFound("user", w.actor.Email))
		}
		t, err = w.createToken(u.User, name, scope, ttl, false)
		return err
	})
	return t, err
}

func (w *work) createToken(u stead.User, name string, scope stead.Scope, ttl time.Duration, login bool) (stead.Token, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		name = "login"
	}
	if len(name) > 100 || strings.ContainsAny(name, "\n\r\x00") {
		return stead.Token{}, stead.Invalid("name", "the token's name is not one short line", "say what it is for, such as laptop or ci")
	}
	secret, hash := auth.NewToken()
	t := stead.Token{ID: stead.NewID(w.now), UserID: u.ID, Name: name, Scope: scope, CreatedAt: w.now}
	if ttl > 0 {
		end := w.now.Add(ttl)
		t.ExpiresAt = &end
	}
	if err := w.InsertToken(store.Token{Token: t, Login: login, Hash: hash}); err != nil {
		return stead.Token{}, err
	}
	t.Secret = secret
	return t, w.record(store.Event{Event: stead.Event{Verb: "token.create", Data: map[string]any{
		"token": t.ID, "name": name, "scope": scope, "login": login, "user": u.Email}}})
}

// RevokeToken removes one of the actor's tokens. A token may always revoke
// itself; another one only with scope all.
func (p *Platform) RevokeToken(ctx context.Context, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		if id == "" || id != w.actor.TokenID {
			if err := w.self(); err != nil {
				return err
			}
		}
		if err := w.DeleteToken(w.actor.UserID, id); err != nil {
			return orElse(err, stead.NotFound("token", string(id)))
		}
		return w.record(store.Event{Event: stead.Event{Verb: "token.revoke", Data: map[string]any{"token": id}}})
	})
}

// SSHKeys returns the actor's keys, oldest first.
func (p *Platform) SSHKeys(ctx context.Context) (out []stead.SSHKey, err error) {
	err = p.view(ctx, func(w *work) (err error) {
		out, err = w.SSHKeys(w.actor.UserID)
		return err
	})
	return out, err
}

// maxKeys is how many SSH keys a user may have.
const maxKeys = 100

// AddSSHKey adds a public key, one line in authorized_keys form, to the actor.
func (p *Platform) AddSSHKey(ctx context.Context, authorizedKey string) (k stead.SSHKey, err error) {
	if k, err = auth.ParseSSHKey(authorizedKey); err != nil {
		return k, err
	}
	err = p.change(ctx, func(w *work) error {
		if err := w.self(); err != nil {
			return err
		}
		have, err := w.SSHKeys(w.actor.UserID)
		if err != nil {
			return err
		}
		if len(have) >= maxKeys {
			return &stead.Error{Kind: stead.KindLimit, Msg: "you have 100 SSH keys already", Hint: "remove one that is not used"}
		}
		k.ID, k.UserID, k.CreatedAt = stead.NewID(w.now), w.actor.UserID, w.now
		if k.Name == "" {
			k.Name = w.actor.Email
		}
		if err := w.InsertSSHKey(k); err != nil {
			return taken(err, "the key "+k.Fingerprint+" is registered already", "use another key, or remove it where it is")
		}
		return w.record(store.Event{Event: stead.Event{Verb: "key.add", Data: map[string]any{"fingerprint": k.Fingerprint, "name": k.Name}}})
	})
	return k, err
}

// RemoveSSHKey removes the actor's key with that ID, fingerprint or name.
func (p *Platform) RemoveSSHKey(ctx context.Context, ref string) error {
	return p.change(ctx, func(w *work) error {
		if err := w.self(); err != nil {
			return err
		}
		have, err := w.SSHKeys(w.actor.UserID)
		if err != nil {
			return err
		}
		var match []stead.SSHKey
		for _, k := range have {
			if string(k.ID) == ref || k.Fingerprint == ref || k.Name == ref {
				match = append(match, k)
			}
		}
		switch len(match) {
		case 0:
			return stead.NotFound("key", ref)
		case 1:
		default:
			return stead.Conflict("several keys are named "+ref, "say which by its fingerprint")
		}
		if err := w.DeleteSSHKey(match[0].ID); err != nil {
			return err
		}
		return w.record(store.Event{Event: stead.Event{Verb: "key.remove", Data: map[string]any{"fingerprint": match[0].Fingerprint}}})
	})
}
