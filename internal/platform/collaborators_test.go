package platform

import (
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// TestCollaborators gives a stranger a role in one app, and no more.
func TestCollaborators(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	w.app("other")
	eve := w.person("eve@example.com")
	_, err := w.App(eve, "hello")
	wantKind(t, "before", err, stead.KindNotFound)
	_, err = w.SetCollaborator(w.admin, "hello", "eve@example.com", stead.RoleDeveloper)
	check(t, err)
	_, _, err = w.SetConfig(eve, "hello", map[string]*string{"A": ptr("1")})
	check(t, err)
	_, err = w.SetCollaborator(eve, "hello", adminEmail, stead.RoleAdmin)
	wantKind(t, "a developer gives roles", err, stead.KindForbidden)
	_, err = w.App(eve, "other")
	wantKind(t, "another app", err, stead.KindNotFound)
	apps, err := w.Apps(eve, "", "")
	check(t, err)
	if len(apps) != 1 || apps[0].Name != "hello" {
		t.Errorf("eve sees %v", apps)
	}
	seen := 0
	events, err := w.Events(eve, EventQuery{})
	check(t, err)
	for e := range events {
		seen++
		if e.App != "hello" && e.Actor != "eve@example.com" {
			t.Errorf("eve sees %+v", e)
		}
	}
	if seen == 0 {
		t.Error("eve sees no events of the app")
	}
	_, err = w.SetCollaborator(w.admin, "hello", "nobody@example.com", stead.RoleDeveloper)
	wantKind(t, "an unknown user", err, stead.KindNotFound)
	check(t, w.RemoveCollaborator(eve, "hello", "eve@example.com"))
	_, err = w.App(eve, "hello")
	wantKind(t, "after leaving", err, stead.KindNotFound)
}

// TestMoveApp moves an app to another org, and its access with it.
func TestMoveApp(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	w.live("hello", "web")
	_, err := w.CreateOrg(w.admin, "acme")
	check(t, err)
	dev := w.person("dev@example.com")
	_, err = w.SetMember(w.admin, "acme", "", "dev@example.com", stead.RoleDeveloper)
	check(t, err)
	_, err = w.SetCollaborator(w.admin, "hello", "dev@example.com", stead.RoleAdmin)
	check(t, err)
	admin := w.person("boss@example.com")
	_, err = w.SetMember(w.admin, "default", "", "boss@example.com", stead.RoleAdmin)
	check(t, err)
	_, err = w.MoveApp(admin, "hello", "acme", "")
	wantKind(t, "to an org that one is not in", err, stead.KindNotFound)
	moved, err := w.MoveApp(dev, "hello", "acme", "") // an admin of the app, a developer of the space
	check(t, err)
	if moved.Org != "acme" || moved.ID != a.ID || moved.Release != 1 {
		t.Errorf("moved: %+v", moved)
	}
	_, err = w.App(admin, "hello")
	wantKind(t, "of whom it left", err, stead.KindNotFound)
	left, err := w.Collaborators(dev, "hello")
	check(t, err)
	if len(left) != 0 {
		t.Errorf("collaborators came along: %v", left)
	}
	w.app("hello") // the name is free where it was
	_, err = w.MoveApp(w.admin, "default/default/hello", "acme", "")
	wantKind(t, "onto one of its name", err, stead.KindConflict)
}

// TestOwnAccount changes one's name and tokens, which a narrow token may not.
func TestOwnAccount(t *testing.T) {
	w := newWorld(t)
	u, err := w.UpdateMe(w.admin, " Ada ")
	check(t, err)
	if u.Name != "Ada" {
		t.Errorf("name %q", u.Name)
	}
	wantKind(t, "a wrong password", w.ConfirmPassword(w.admin, "wrong password"), stead.KindForbidden)
	old, err := w.CreateToken(w.admin, "ci", stead.ScopeWrite, time.Hour)
	check(t, err)
	renamed, err := w.RenameToken(w.admin, old.ID, "build server")
	check(t, err)
	if renamed.Name != "build server" || renamed.Secret != "" {
		t.Errorf("renamed %+v", renamed)
	}
	fresh, err := w.ReplaceToken(w.admin, old.ID)
	check(t, err)
	if fresh.Name != "build server" || fresh.Scope != stead.ScopeWrite || fresh.Secret == old.Secret {
		t.Errorf("replaced by %+v", fresh)
	}
	_, err = w.Authenticate(t.Context(), old.Secret)
	wantKind(t, "the old secret", err, stead.KindUnauthenticated)
	a, err := w.Authenticate(t.Context(), fresh.Secret)
	check(t, err)
	narrow := stead.WithActor(t.Context(), a)
	_, err = w.UpdateMe(narrow, "Eve")
	wantKind(t, "a narrow token renames", err, stead.KindForbidden)
	_, err = w.ReplaceToken(narrow, fresh.ID)
	wantKind(t, "a narrow token replaces", err, stead.KindForbidden)
	_, err = w.RenameToken(narrow, fresh.ID, "x")
	wantKind(t, "a narrow token renames a token", err, stead.KindForbidden)
	if len(w.Regions()) == 0 || len(w.Sizes()) == 0 {
		t.Error("there are no regions or no sizes")
	}
}
