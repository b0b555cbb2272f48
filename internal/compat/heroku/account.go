package heroku

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

func accountRoutes() []route {
	return []route{
		{Method: "GET", Path: "/account", Title: "account: info", do: (*call).account},
		{Method: "PATCH", Path: "/account", Title: "account: update", do: (*call).updateAccount},
		{Method: "DELETE", Path: "/account", Title: "account: delete", why: "an administrator removes accounts: stead users remove"},
		{Method: "GET", Path: "/users/{user}", Title: "account: info by user", do: (*call).account},
		{Method: "PATCH", Path: "/users/{user}", Title: "account: update by user", do: (*call).updateAccount},
		{Method: "DELETE", Path: "/users/{user}", Title: "account: delete by user", why: "an administrator removes accounts: stead users remove"},
		{Method: "GET", Path: "/account/rate-limits", Title: "rate limit: info", do: (*call).rateLimit},
		{Method: "GET", Path: "/account/delinquency", Title: "delinquency: info", do: (*call).delinquency},
	}
}

// me returns the user who calls, if the path names it: "~", an ID or an address.
func (c *call) me() (stead.User, error) {
	u, err := c.p.Me(c.ctx)
	ref := c.params["user"]
	if err == nil && ref != "" && ref != "~" && ref != string(u.ID) && !strings.EqualFold(ref, u.Email) {
		err = stead.NotFound("user", ref)
	}
	return u, err
}

func (c *call) account() (any, error) {
	u, err := c.me()
	return showAccount(u), err
}

func showAccount(u stead.User) object {
	var name any
	if u.Name != "" {
		name = u.Name
	}
	return object{"id": u.ID, "email": u.Email, "name": name, "created_at": stamp(u.CreatedAt), "updated_at": stamp(u.CreatedAt),
		"allow_tracking": false, "beta": false, "federated": false, "verified": true, "two_factor_authentication": false,
		"identity_provider": nil, "last_login": nil, "sms_number": nil, "suspended_at": nil, "delinquent_at": nil,
		"country_of_residence": nil, "default_organization": nil, "default_team": nil}
}

// updateAccount changes the name, or the password, which needs the present one.
func (c *call) updateAccount() (any, error) {
	u, err := c.me()
	if err != nil {
		return nil, err
	}
	var in struct {
		Name        *string `json:"name"`
		Password    string  `json:"password"`
		NewPassword *string `json:"new_password"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.NewPassword != nil {
		if err := c.p.ConfirmPassword(c.ctx, in.Password); err != nil {
			return nil, err
		}
		if err := c.p.SetPassword(c.ctx, "", *in.NewPassword); err != nil {
			return nil, err
		}
	}
	if in.Name != nil {
		if u, err = c.p.UpdateMe(c.ctx, *in.Name); err != nil {
			return nil, err
		}
	}
	return showAccount(u), nil
}

func (c *call) rateLimit() (any, error) {
	return object{"remaining": c.rates.left(c.actor.UserID)}, nil
}

// delinquency tells that nothing is owed: there are no bills.
func (c *call) delinquency() (any, error) {
	return object{"scheduled_suspension_time": nil, "scheduled_deletion_time": nil}, nil
}

func keyRoutes() []route {
	return []route{
		{Method: "GET", Path: "/account/keys", Title: "key: list", do: (*call).keys},
		{Method: "GET", Path: "/account/keys/{key}", Title: "key: info", do: (*call).key},
		{Method: "POST", Path: "/account/keys", Title: "key: create", do: (*call).addKey, extra: true},
		{Method: "DELETE", Path: "/account/keys/{key}", Title: "key: delete", do: (*call).removeKey, extra: true},
	}
}

func (c *call) keys() (any, error) {
	all, err := c.p.SSHKeys(c.ctx)
	return each(all, c.showKey), err
}

func (c *call) showKey(k stead.SSHKey) object {
	return object{"id": k.ID, "comment": k.Name, "email": c.actor.Email, "fingerprint": k.Fingerprint, "public_key": k.PublicKey,
		"created_at": stamp(k.CreatedAt), "updated_at": stamp(k.CreatedAt)}
}

func (c *call) findKey() (stead.SSHKey, error) {
	all, err := c.p.SSHKeys(c.ctx)
	for _, k := range all {
		if ref := c.params["key"]; string(k.ID) == ref || k.Fingerprint == ref {
			return k, err
		}
	}
	if err == nil {
		err = stead.NotFound("key", c.params["key"])
	}
	return stead.SSHKey{}, err
}

func (c *call) key() (any, error) {
	k, err := c.findKey()
	return c.showKey(k), err
}

func (c *call) addKey() (any, error) {
	var in struct {
		PublicKey string `json:"public_key"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	k, err := c.p.AddSSHKey(c.ctx, strings.TrimSpace(in.PublicKey))
	return c.created(c.showKey(k)), err
}

func (c *call) removeKey() (any, error) {
	k, err := c.findKey()
	if err != nil {
		return nil, err
	}
	return c.showKey(k), c.p.RemoveSSHKey(c.ctx, string(k.ID))
}

func oauthRoutes() []route {
	const a = "/oauth/authorizations"
	return []route{
		{Method: "GET", Path: a, Title: "authorization: list", do: (*call).authorizations},
		{Method: "POST", Path: a, Title: "authorization: create", do: (*call).authorize, open: true},
		{Method: "GET", Path: a + "/{token}", Title: "authorization: info", do: (*call).authorization},
		{Method: "PATCH", Path: a + "/{token}", Title: "authorization: update", do: (*call).renameAuthorization},
		{Method: "DELETE", Path: a + "/{token}", Title: "authorization: delete", do: (*call).revoke},
		{Method: "POST", Path: a + "/{token}/actions/regenerate-tokens", Title: "authorization: regenerate", do: (*call).regenerate},
		{Method: "GET", Path: "/oauth/sessions", Title: "session: list", do: (*call).authorizations, extra: true},
		{Method: "DELETE", Path: "/oauth/sessions/{token}", Title: "session: delete", do: (*call).revoke, extra: true},
	}
}

// authorizations are the caller's tokens. Secrets are shown once, when made.
func (c *call) authorizations() (any, error) {
	all, err := c.p.Tokens(c.ctx)
	return each(all, c.showToken), err
}

func (c *call) showToken(t stead.Token) object {
	var left, secret any
	if t.ExpiresAt != nil {
		left = max(0, int(t.ExpiresAt.Sub(c.now()).Seconds()))
	}
	secret = strings.Repeat("*", 10)
	if t.Secret != "" {
		secret = t.Secret
	}
	token := object{"id": t.ID, "expires_in": left, "token": secret}
	return object{"id": t.ID, "description": t.Name, "scope": []string{scopeName(t.Scope)}, "access_token": token, "client": nil, "grant": nil,
		"refresh_token": nil, "session": nil, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.CreatedAt),
		"user": object{"id": t.UserID, "email": c.actor.Email, "full_name": nil}}
}

// Heroku's scopes and ours. Its "identity" and "read" see no secrets, nor does
// our read.
var scopes = map[string]stead.Scope{"global": stead.ScopeAll, "write": stead.ScopeWrite, "write-protected": stead.ScopeWrite,
	"read": stead.ScopeRead, "read-protected": stead.ScopeRead, "identity": stead.ScopeRead}

func scopeName(s stead.Scope) string {
	switch s {
	case stead.ScopeAll:
		return "global"
	case stead.ScopeWrite:
		return "write-protected"
	}
	return "read"
}

func (c *call) findToken() (stead.Token, error) {
	ref := c.params["token"]
	if ref == "~" {
		ref = string(c.actor.TokenID)
	}
	all, err := c.p.Tokens(c.ctx)
	for _, t := range all {
		if string(t.ID) == ref {
			return t, err
		}
	}
	if err == nil {
		err = stead.NotFound("token", ref)
	}
	return stead.Token{}, err
}

func (c *call) authorization() (any, error) {
	t, err := c.findToken()
	return c.showToken(t), err
}

type authorizeInput struct {
	Description string          `json:"description"`
	ExpiresIn   json.RawMessage `json:"expires_in"` // seconds: a number, or as the CLI has it, a text
	Scope       []string        `json:"scope"`
}

// life is how long the token is good for; 0: for ever.
func (in authorizeInput) life() (time.Duration, error) {
	text := strings.Trim(string(in.ExpiresIn), `"`)
	if text == "" || text == "null" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 100*365*24*3600 {
		return 0, stead.Invalid("expires_in", quote(text)+" is not a number of seconds", "give a whole number, such as 3600")
	}
	return time.Duration(n) * time.Second, nil
}

// authorize makes a token: for who has one, or for who gives an e-mail address
// and a password, which is how the CLI logs in.
func (c *call) authorize() (any, error) {
	var in authorizeInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	email, password, basic := c.r.BasicAuth()
	if basic && email != "" {
		t, err := c.p.Login(c.ctx, email, password, in.Description)
		c.actor = stead.Actor{UserID: t.UserID, Email: strings.ToLower(email)}
		return c.created(c.showToken(t)), err
	}
	if err := c.enter(route{do: (*call).authorize}); err != nil {
		return nil, err
	}
	scope, err := in.scope()
	if err != nil {
		return nil, err
	}
	ttl, err := in.life()
	if err != nil {
		return nil, err
	}
	t, err := c.p.CreateToken(c.ctx, in.Description, scope, ttl)
	return c.created(c.showToken(t)), err
}

// scope is the widest that is asked for; none is all.
func (in authorizeInput) scope() (stead.Scope, error) {
	out := stead.Scope("")
	for _, name := range in.Scope {
		s, ok := scopes[name]
		if !ok {
			return "", stead.Invalid("scope", "there is no scope "+quote(name), "use global, write-protected or read")
		}
		if out == "" || s == stead.ScopeAll || out == stead.ScopeRead {
			out = s
		}
	}
	if out == "" {
		return stead.ScopeAll, nil
	}
	return out, nil
}

func (c *call) renameAuthorization() (any, error) {
	t, err := c.findToken()
	if err != nil {
		return nil, err
	}
	var in struct {
		Description *string `json:"description"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Description != nil {
		t, err = c.p.RenameToken(c.ctx, t.ID, *in.Description)
	}
	return c.showToken(t), err
}

func (c *call) revoke() (any, error) {
	t, err := c.findToken()
	if err != nil {
		return nil, err
	}
	return c.showToken(t), c.p.RevokeToken(c.ctx, t.ID)
}

// regenerate gives an authorization a new secret: a new token of the same name,
// scope and life, and the end of the old one.
func (c *call) regenerate() (any, error) {
	t, err := c.findToken()
	if err != nil {
		return nil, err
	}
	fresh, err := c.p.ReplaceToken(c.ctx, t.ID)
	return c.created(c.showToken(fresh)), err
}
