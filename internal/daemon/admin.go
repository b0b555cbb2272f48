package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// administer gives the use-cases over the platform's own database: the right to
// read the data directory is the right to do this. A running platform goes on.
func (c Config) administer(ctx context.Context) (p *platform.Platform, done func(), err error) {
	if _, err := os.Stat(c.path("keys")); err != nil && c.Database == "" {
		return nil, nil, stead.Precondition("there is no platform in "+c.Data, "start it first: steadd start")
	}
	st, err := store.Open(ctx, c.dsn())
	if err != nil {
		return nil, nil, err
	}
	keys, err := secret.OpenKeyRing(c.path("keys"))
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	p = platform.New(platform.Deps{Store: st, Keys: keys, Settings: c.platformSettings(), Logger: logger(c, os.Stderr), Now: time.Now})
	return p, func() { _ = st.Close() }, nil
}

// rotateKeys returns how many values it sealed again.
func rotateKeys(ctx context.Context, c Config) (int, error) {
	p, done, err := c.administer(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	return p.RotateKeys(stead.WithActor(ctx, stead.System))
}

// adminToken makes a token for an administrator. The first call makes the first
// administrator.
func adminToken(ctx context.Context, c Config, email string) (string, error) {
	p, done, err := c.administer(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	t, err := p.Bootstrap(ctx, email, rand.Text())
	if stead.KindOf(err) != stead.KindConflict {
		return t.Secret, err
	}
	me, err := findAdmin(ctx, p, email)
	if err != nil {
		return "", err
	}
	actor := stead.Actor{UserID: me.ID, Email: me.Email, Admin: true, Scope: stead.ScopeAll}
	t, err = p.CreateToken(stead.WithActor(ctx, actor), "made on the platform's machine", stead.ScopeAll, 30*24*time.Hour)
	return t.Secret, err
}

func findAdmin(ctx context.Context, p *platform.Platform, email string) (stead.User, error) {
	ctx = stead.WithActor(ctx, stead.System)
	users, err := p.Users(ctx)
	if err != nil {
		return stead.User{}, err
	}
	for _, u := range users {
		if u.Email == email && u.Admin {
			return u, nil
		}
		if u.Email == email {
			return u, &stead.Error{Kind: stead.KindForbidden, Msg: email + " is no administrator", Hint: "name one who is"}
		}
	}
	return p.CreateUser(ctx, email, "", rand.Text(), true)
}

// internalSecret reads the password of the platform's own parts at its
// registry, made at the first start.
func internalSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil && len(data) > 0 {
		return string(data), nil
	}
	s := rand.Text() + rand.Text()
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		return "", fmt.Errorf("make the registry's password: %w", err)
	}
	return s, nil
}
