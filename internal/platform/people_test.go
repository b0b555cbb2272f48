package platform

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
)

func TestBootstrapOnce(t *testing.T) {
	w := newWorld(t)
	_, err := w.Bootstrap(t.Context(), "eve@example.com", password)
	wantKind(t, "second bootstrap", err, stead.KindConflict)
	orgs, err := w.Orgs(w.admin)
	check(t, err)
	spaces, err := w.Spaces(w.admin, "")
	check(t, err)
	if len(orgs) != 1 || orgs[0].Name != "default" || len(spaces) != 1 || spaces[0].Name != "default" {
		t.Errorf("orgs %+v, spaces %+v", orgs, spaces)
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	token, err := w.Login(t.Context(), " Root@Example.com ", password, "laptop")
	check(t, err)
	if token.Name != "laptop" || !strings.HasPrefix(token.Secret, "stead_") || token.ExpiresAt == nil {
		t.Errorf("token: %+v", token)
	}
	me, err := w.Me(w.login(token.Secret))
	check(t, err)
	if me.Email != adminEmail {
		t.Errorf("me: %+v", me)
	}
	_, err = w.Login(t.Context(), adminEmail, "wrong password", "")
	wantKind(t, "wrong password", err, stead.KindUnauthenticated)
	_, unknown := w.Login(t.Context(), "nobody@example.com", "wrong password", "")
	if unknown == nil || unknown.Error() != err.Error() {
		t.Errorf("an unknown user is told apart: %v, %v", unknown, err)
	}
	w.advance(91 * 24 * time.Hour)
	_, err = w.Authenticate(t.Context(), token.Secret)
	wantKind(t, "expired token", err, stead.KindUnauthenticated)
	for _, bad := range []string{"", "x", "stead_", token.Secret + "x", strings.Repeat("a", 1<<16)} {
		_, err := w.Authenticate(t.Context(), bad)
		wantKind(t, "bad token", err, stead.KindUnauthenticated)
	}
}

func TestLoginIsLimited(t *testing.T) {
	w := newWorld(t)
	ctx := auth.WithRemote(t.Context(), "192.0.2.1")
	var err error
	for n := 0; n < 20 && stead.KindOf(err) != stead.KindLimit; n++ {
		_, err = w.Login(ctx, adminEmail, "wrong password", "")
	}
	wantKind(t, "guessing", err, stead.KindLimit)
	_, err = w.Login(ctx, adminEmail, password, "")
	wantKind(t, "the right one in between", err, stead.KindLimit)
	w.advance(time.Hour)
	_, err = w.Login(ctx, adminEmail, password, "")
	check(t, err)
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	read, err := w.CreateToken(w.admin, "ci", stead.ScopeRead, time.Hour)
	check(t, err)
	ctx := w.login(read.Secret)
	_, err = w.CreateToken(ctx, "more", stead.ScopeAll, 0)
	wantKind(t, "a wider token", err, stead.KindForbidden)
	wantKind(t, "password by a read token", w.SetPassword(ctx, "", "another password"), stead.KindForbidden)
	_, err = w.CreateUser(ctx, "x@example.com", "", "", false)
	wantKind(t, "user by a read token of an admin", err, stead.KindForbidden)
	wantKind(t, "revoke another", w.RevokeToken(ctx, "no-such"), stead.KindForbidden)
	check(t, w.RevokeToken(ctx, read.ID))
	_, err = w.Authenticate(t.Context(), read.Secret)
	wantKind(t, "revoked token", err, stead.KindUnauthenticated)
	wantKind(t, "revoke twice", w.RevokeToken(w.admin, read.ID), stead.KindNotFound)
	all, err := w.Tokens(w.admin)
	check(t, err)
	for _, tok := range all {
		if tok.Secret != "" {
			t.Error("a list of tokens shows a secret")
		}
	}
	_, err = w.CreateToken(w.admin, "x", "everything", 0)
	wantKind(t, "unknown scope", err, stead.KindInvalid)
}

func TestSetPassword(t *testing.T) {
	w := newWorld(t)
	other, err := w.Login(t.Context(), adminEmail, password, "other")
	check(t, err)
	api, err := w.CreateToken(w.admin, "ci", stead.ScopeAll, 0)
	check(t, err)
	wantKind(t, "short password", w.SetPassword(w.admin, "", "short"), stead.KindInvalid)
	check(t, w.SetPassword(w.admin, "", "another password"))
	_, err = w.Authenticate(t.Context(), other.Secret)
	wantKind(t, "other login", err, stead.KindUnauthenticated)
	_, err = w.Authenticate(t.Context(), w.secret)
	check(t, err)
	_, err = w.Authenticate(t.Context(), api.Secret)
	check(t, err)
	_, err = w.Login(t.Context(), adminEmail, password, "")
	wantKind(t, "old password", err, stead.KindUnauthenticated)
	eve := w.person("eve@example.com")
	wantKind(t, "foreign password", w.SetPassword(eve, adminEmail, "another password"), stead.KindNotFound)
	check(t, w.SetPassword(w.admin, "eve@example.com", "evil password"))
	_, err = w.Login(t.Context(), "eve@example.com", "evil password", "")
	check(t, err)
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	eve := w.person("eve@example.com")
	_, err := w.CreateUser(w.admin, "EVE@example.com", "", "", false)
	wantKind(t, "duplicate", err, stead.KindConflict)
	for _, bad := range []string{"", "x", "a b@c", "a@b@c", "x@-", strings.Repeat("x", 300) + "@y", "stead"} {
		_, err := w.CreateUser(w.admin, bad, "", "", false)
		wantKind(t, "address "+bad, err, stead.KindInvalid)
	}
	for what, err := range map[string]error{
		"Users":      second(w.Users(eve)),
		"CreateUser": second(w.CreateUser(eve, "x@example.com", "", "", false)),
		"DeleteUser": w.DeleteUser(eve, adminEmail),
		"CreateOrg":  second(w.CreateOrg(eve, "evil")),
		"RotateKeys": second(w.RotateKeys(eve)),
		"CreateApp":  second(w.CreateApp(eve, NewApp{Name: "evil"})),
	} {
		wantKind(t, what+" by a user", err, stead.KindForbidden)
	}
	for what, err := range map[string]error{
		"CreateSpace":  second(w.CreateSpace(eve, "default", "evil")),
		"Members":      second(w.Members(eve, "", "")),
		"SetMember":    second(w.SetMember(eve, "", "", "eve@example.com", stead.RoleAdmin)),
		"RemoveMember": w.RemoveMember(eve, "", "", adminEmail),
		"Spaces":       second(w.Spaces(eve, "default")),
		"Apps":         second(w.Apps(eve, "default", "")),
		"CreateApp in": second(w.CreateApp(eve, NewApp{Name: "evil", Org: "default"})),
	} {
		wantKind(t, what+" by a stranger", err, stead.KindNotFound)
	}
	_, err = w.Status(eve)
	check(t, err)
	_, err = w.Status(t.Context())
	wantKind(t, "status to nobody", err, stead.KindUnauthenticated)
	wantKind(t, "delete oneself", w.DeleteUser(w.admin, adminEmail), stead.KindPrecondition)
	check(t, w.DeleteUser(w.admin, "eve@example.com"))
	wantKind(t, "delete twice", w.DeleteUser(w.admin, "eve@example.com"), stead.KindNotFound)
}

func second[T any](_ T, err error) error { return err }

func TestSSHKeys(t *testing.T) {
	w := newWorld(t)
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	key, err := ssh.NewPublicKey(pub)
	check(t, err)
	k, err := w.AddSSHKey(w.admin, string(ssh.MarshalAuthorizedKey(key)))
	check(t, err)
	a, err := w.AuthenticateKey(t.Context(), k.Fingerprint)
	check(t, err)
	if a.Email != adminEmail || a.Scope != stead.ScopeWrite {
		t.Errorf("actor: %+v", a)
	}
	eve := w.person("eve@example.com")
	_, err = w.AddSSHKey(eve, string(ssh.MarshalAuthorizedKey(key)))
	wantKind(t, "somebody's key", err, stead.KindConflict)
	wantKind(t, "remove somebody's key", w.RemoveSSHKey(eve, k.Fingerprint), stead.KindNotFound)
	_, err = w.AddSSHKey(stead.WithActor(t.Context(), a), "x")
	wantKind(t, "junk", err, stead.KindInvalid)
	check(t, w.RemoveSSHKey(w.admin, k.Name))
	_, err = w.AuthenticateKey(t.Context(), k.Fingerprint)
	wantKind(t, "removed key", err, stead.KindUnauthenticated)
}

func TestOrgsAndSpaces(t *testing.T) {
	w := newWorld(t)
	_, err := w.CreateOrg(w.admin, "acme")
	check(t, err)
	_, err = w.CreateOrg(w.admin, "acme")
	wantKind(t, "duplicate org", err, stead.KindConflict)
	_, err = w.CreateSpace(w.admin, "acme", "prod")
	check(t, err)
	dev := w.person("dev@example.com")
	_, err = w.SetMember(w.admin, "acme", "prod", "dev@example.com", stead.RoleDeveloper)
	check(t, err)
	a, err := w.CreateApp(dev, NewApp{Name: "hello"}) // the only space where it may
	check(t, err)
	if a.Org != "acme" || a.Space != "prod" || a.GitURL != "http://127.0.0.1:7800/git/acme/prod/hello.git" {
		t.Errorf("app: %+v", a)
	}
	b, err := w.CreateApp(w.admin, NewApp{Name: "hello"})
	check(t, err)
	if b.URL != "http://hello-default.stead.localhost" {
		t.Errorf("URL of the second: %s", b.URL)
	}
	_, err = w.App(w.admin, "hello")
	wantKind(t, "ambiguous name", err, stead.KindConflict)
	for _, ref := range []string{"prod/hello", "acme/prod/hello", string(a.ID)} {
		got, err := w.App(w.admin, ref)
		check(t, err)
		if got.ID != a.ID {
			t.Errorf("%s is %+v", ref, got)
		}
	}
	got, err := w.App(dev, "hello") // sees only one
	check(t, err)
	if got.ID != a.ID {
		t.Errorf("app: %+v", got)
	}
	for _, ref := range []string{"default/hello", "a/b/c/hello", "../hello", "", "'; DROP TABLE apps", string(b.ID)} {
		_, err := w.App(dev, ref)
		wantKind(t, "ref "+ref, err, stead.KindNotFound)
	}
	_, err = w.SetMember(dev, "acme", "prod", "dev@example.com", stead.RoleAdmin)
	wantKind(t, "promote oneself", err, stead.KindForbidden)
	orgs, err := w.Orgs(dev)
	check(t, err)
	spaces, err := w.Spaces(dev, "")
	check(t, err)
	if len(orgs) != 1 || len(spaces) != 1 || spaces[0].Name != "prod" {
		t.Errorf("orgs %+v spaces %+v", orgs, spaces)
	}
	check(t, w.RemoveMember(w.admin, "acme", "prod", "dev@example.com"))
	_, err = w.App(dev, "hello")
	wantKind(t, "after removal", err, stead.KindNotFound)
}

func TestRenameMovesTheDomain(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	_, err := w.AddRoute(w.admin, "hello", stead.Route{Path: "/api/"})
	check(t, err)
	w.app("taken")
	_, err = w.UpdateApp(w.admin, "hello", AppPatch{Name: ptr("taken")})
	wantKind(t, "rename to a taken name", err, stead.KindConflict)
	got, err := w.UpdateApp(w.admin, "hello", AppPatch{Name: ptr("bye")})
	check(t, err)
	routes, err := w.Routes(w.admin, "bye")
	check(t, err)
	if got.ID != a.ID || got.URL != "http://bye.stead.localhost" || len(routes) != 2 || routes[1].Path != "/api" || routes[1].Host != "bye.stead.localhost" {
		t.Errorf("app %+v routes %+v", got, routes)
	}
	w.app("hello")
}

func TestDomains(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	_, err := w.CreateOrg(w.admin, "acme")
	check(t, err)
	_, err = w.CreateApp(w.admin, NewApp{Name: "other", Org: "acme"})
	check(t, err)
	d, err := w.AddDomain(w.admin, "hello", "WWW.Example.com.")
	check(t, err)
	if d.Host != "www.example.com" {
		t.Errorf("domain: %+v", d)
	}
	_, err = w.AddDomain(w.admin, "other", "www.example.com")
	wantKind(t, "taken host", err, stead.KindConflict)
	_, err = w.AddDomain(w.admin, "other", "*.example.com")
	wantKind(t, "wildcard over another org's host", err, stead.KindConflict)
	_, err = w.AddDomain(w.admin, "hello", "*.example.com")
	check(t, err)
	_, err = w.AddDomain(w.admin, "other", "api.example.com")
	wantKind(t, "host under another org's wildcard", err, stead.KindConflict)
	for _, bad := range []string{"x", "a..b", "http://x.com", "x.com/y", "other.stead.localhost", "stead.localhost", "*.stead.localhost", "a b.com"} {
		_, err := w.AddDomain(w.admin, "hello", bad)
		wantKind(t, "host "+bad, err, stead.KindInvalid)
	}
	_, err = w.AddRoute(w.admin, "other", stead.Route{Host: "www.example.com"})
	wantKind(t, "route on a foreign host", err, stead.KindNotFound)
	wantKind(t, "the platform's domain", w.RemoveDomain(w.admin, "hello", "hello.stead.localhost"), stead.KindPrecondition)
	check(t, w.RemoveDomain(w.admin, "hello", "www.example.com"))
	_, err = w.AddRoute(w.admin, "hello", stead.Route{Path: "/x", Process: "nope"})
	wantKind(t, "route to an unknown process", err, stead.KindNotFound)
}

// TestAccountChangesHaveEvents is the rest of the audit trail.
func TestAccountChangesHaveEvents(t *testing.T) {
	w := newWorld(t)
	w.person("eve@example.com")
	_, err := w.CreateOrg(w.admin, "acme")
	check(t, err)
	_, err = w.CreateSpace(w.admin, "acme", "prod")
	check(t, err)
	_, err = w.SetMember(w.admin, "acme", "", "eve@example.com", stead.RoleAuditor)
	check(t, err)
	check(t, w.RemoveMember(w.admin, "acme", "", "eve@example.com"))
	check(t, w.SetPassword(w.admin, "eve@example.com", password))
	tok, err := w.CreateToken(w.admin, "x", stead.ScopeAll, 0)
	check(t, err)
	check(t, w.RevokeToken(w.admin, tok.ID))
	check(t, w.DeleteUser(w.admin, "eve@example.com"))
	have := w.verbs("")
	for _, v := range []string{"user.create", "org.create", "space.create", "member.set", "member.remove", "user.password",
		"token.create", "token.revoke", "user.delete"} {
		if !slices.Contains(have, v) {
			t.Errorf("no event %s in %v", v, have)
		}
	}
}

func TestFollowEvents(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(w.admin, 10*time.Second)
	defer cancel()
	seq, err := w.Events(ctx, EventQuery{Verb: "app.", Follow: true})
	check(t, err)
	go func() {
		if _, err := w.CreateApp(w.admin, NewApp{Name: "hello"}); err != nil {
			t.Error(err)
		}
	}()
	for e, err := range seq {
		check(t, err)
		if e.Verb != "app.create" || e.App != "hello" {
			t.Errorf("event: %+v", e)
		}
		return
	}
	t.Error("the follower saw nothing")
}
