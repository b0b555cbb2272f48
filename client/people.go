package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/steadpaas/stead"
)

// list is a page of a list; next is the cursor of the one after it.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func items[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	l, err := get[list[T]](ctx, c, path, q)
	return l.Items, err
}

func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}

// Login checks a password and returns a new token, its secret included.
func (c *Client) Login(ctx context.Context, email, password, tokenName string) (stead.Token, error) {
	return send[stead.Token](ctx, c, http.MethodPost, path("login"),
		map[string]string{"email": email, "password": password, "name": tokenName})
}

// Me returns the user that the token belongs to.
func (c *Client) Me(ctx context.Context) (stead.User, error) {
	return get[stead.User](ctx, c, path("me"), nil)
}

// Users lists all users. For administrators of the platform.
func (c *Client) Users(ctx context.Context) ([]stead.User, error) {
	return items[stead.User](ctx, c, path("users"), nil)
}

// CreateUser makes a user. For administrators of the platform.
func (c *Client) CreateUser(ctx context.Context, n stead.NewUser) (stead.User, error) {
	return send[stead.User](ctx, c, http.MethodPost, path("users"), n)
}

// DeleteUser removes a user, by ID or e-mail. For administrators of the platform.
func (c *Client) DeleteUser(ctx context.Context, ref string) error {
	return remove(ctx, c, path("users", ref), nil)
}

// SetPassword changes one's own password, or as an administrator anybody's,
// and revokes the user's other login tokens.
func (c *Client) SetPassword(ctx context.Context, ref, password string) error {
	_, err := send[struct{}](ctx, c, http.MethodPut, path("users", ref, "password"), map[string]string{"password": password})
	return err
}

// Tokens lists one's own tokens.
func (c *Client) Tokens(ctx context.Context) ([]stead.Token, error) {
	return items[stead.Token](ctx, c, path("tokens"), nil)
}

// CreateToken makes a token; its Secret is in this answer only.
func (c *Client) CreateToken(ctx context.Context, n stead.NewToken) (stead.Token, error) {
	return send[stead.Token](ctx, c, http.MethodPost, path("tokens"), n)
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id stead.ID) error {
	return remove(ctx, c, path("tokens", string(id)), nil)
}

// SSHKeys lists one's own keys.
func (c *Client) SSHKeys(ctx context.Context) ([]stead.SSHKey, error) {
	return items[stead.SSHKey](ctx, c, path("keys"), nil)
}

// AddSSHKey adds a public key in authorized_keys form.
func (c *Client) AddSSHKey(ctx context.Context, authorizedKey string) (stead.SSHKey, error) {
	return send[stead.SSHKey](ctx, c, http.MethodPost, path("keys"), map[string]string{"public_key": authorizedKey})
}

// RemoveSSHKey removes a key, by ID, fingerprint or name.
func (c *Client) RemoveSSHKey(ctx context.Context, ref string) error {
	return remove(ctx, c, path("keys", ref), nil)
}

// Orgs lists the orgs that one can see.
func (c *Client) Orgs(ctx context.Context) ([]stead.Org, error) {
	return items[stead.Org](ctx, c, path("orgs"), nil)
}

// CreateOrg makes an org with its default space.
func (c *Client) CreateOrg(ctx context.Context, name string) (stead.Org, error) {
	return send[stead.Org](ctx, c, http.MethodPost, path("orgs"), map[string]string{"name": name})
}

// Spaces lists the spaces of an org ("": of all that one can see).
func (c *Client) Spaces(ctx context.Context, org string) ([]stead.Space, error) {
	q := url.Values{}
	set(q, "org", org)
	return items[stead.Space](ctx, c, path("spaces"), q)
}

// CreateSpace makes a space in an org.
func (c *Client) CreateSpace(ctx context.Context, org, name string) (stead.Space, error) {
	return send[stead.Space](ctx, c, http.MethodPost, path("spaces"), map[string]string{"org": org, "name": name})
}

// Members lists who has a role in an org (space "") or in a space of it.
func (c *Client) Members(ctx context.Context, org, space string) ([]stead.Member, error) {
	return items[stead.Member](ctx, c, path("members"), member(org, space, ""))
}

// SetMember gives a user a role in an org (space "") or in a space of it.
func (c *Client) SetMember(ctx context.Context, org, space, email string, role stead.Role) (stead.Member, error) {
	in := struct {
		Org   string     `json:"org"`
		Space string     `json:"space,omitempty"`
		Email string     `json:"email"`
		Role  stead.Role `json:"role"`
	}{org, space, email, role}
	return send[stead.Member](ctx, c, http.MethodPut, path("members"), in)
}

// RemoveMember takes a user's role away.
func (c *Client) RemoveMember(ctx context.Context, org, space, email string) error {
	return remove(ctx, c, path("members"), member(org, space, email))
}

func member(org, space, email string) url.Values {
	q := url.Values{}
	set(q, "org", org)
	set(q, "space", space)
	set(q, "email", email)
	return q
}
