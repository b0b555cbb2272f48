package platform

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/steadpaas/stead"
)

func TestRoutePolicy(t *testing.T) {
	w := newWorld(t)
	a, err := w.CreateApp(w.admin, NewApp{Name: "shop"})
	check(t, err)
	all, err := w.Routes(w.admin, "shop")
	check(t, err)
	id := all[0].ID
	policy := stead.RoutePolicy{Sticky: true, BasicAuth: []stead.Credential{{User: "ann", Password: "opensesame"}}}
	r, err := w.UpdateRoute(w.admin, "shop", id, stead.RoutePatch{Policy: &policy})
	check(t, err)
	if b, _ := json.Marshal(r); strings.Contains(string(b), "opensesame") || strings.Contains(string(b), "$2a$") {
		t.Errorf("a route shows its passwords: %s", b)
	}
	if policy.BasicAuth[0].Password == "" {
		t.Error("the caller's policy was changed")
	}
	in := w.intent(a.ID)
	if bcrypt.CompareHashAndPassword([]byte(in.Routes[0].Passwords["ann"]), []byte("opensesame")) != nil {
		t.Errorf("hashes %v", in.Routes[0].Passwords)
	}
	kept := stead.RoutePolicy{BasicAuth: []stead.Credential{{User: "ann"}}}
	r, err = w.UpdateRoute(w.admin, "shop", id, stead.RoutePatch{Policy: &kept})
	check(t, err)
	if r.Passwords["ann"] != in.Routes[0].Passwords["ann"] || r.Policy.Sticky {
		t.Errorf("kept %+v", r)
	}
	name := "store"
	_, err = w.UpdateApp(w.admin, "shop", AppPatch{Name: &name})
	check(t, err)
	if r := w.intent(a.ID).Routes[0]; r.Host != "store.stead.localhost" || r.Passwords["ann"] == "" {
		t.Errorf("renamed: %+v", r)
	}
	for _, bad := range []stead.RoutePolicy{
		{BasicAuth: []stead.Credential{{User: "bob"}}},
		{Destinations: []stead.Destination{{Process: "none", Weight: 1}}},
		{Allow: []string{"x"}},
	} {
		if _, err := w.UpdateRoute(w.admin, "store", w.intent(a.ID).Routes[0].ID, stead.RoutePatch{Policy: &bad}); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
	_, err = w.UpdateRoute(w.admin, "store", "x", stead.RoutePatch{})
	wantKind(t, "unknown route", err, stead.KindNotFound)
	check(t, w.SetPages(w.admin, "store", stead.Pages{Maintenance: "<p>soon"}))
	if p := w.intent(a.ID).Pages; p.Maintenance != "<p>soon" {
		t.Errorf("pages %+v", p)
	}
	wantKind(t, "large page", w.SetPages(w.admin, "store", stead.Pages{Error: strings.Repeat("x", stead.MaxPage+1)}), stead.KindInvalid)
}
