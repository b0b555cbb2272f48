package heroku

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	heroku "github.com/heroku/heroku-go/v6"

	"github.com/steadpaas/stead"
)

// TestClient drives the API with Heroku's own Go client.
func TestClient(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	srv := httptest.NewServer(w.h)
	t.Cleanup(srv.Close)
	s := heroku.NewService(&http.Client{Transport: &heroku.Transport{BearerToken: w.secret}})
	s.URL = srv.URL + Prefix
	ctx := t.Context()

	me, err := s.AccountInfo(ctx)
	check(t, err)
	if me.Email != "root@example.com" {
		t.Errorf("account %+v", me)
	}
	name := fresh()
	app, err := s.AppCreate(ctx, heroku.AppCreateOpts{Name: &name})
	check(t, err)
	app, err = s.AppUpdate(ctx, app.ID, heroku.AppUpdateOpts{Maintenance: new(true)})
	check(t, err)
	if !app.Maintenance || app.Owner.Email != me.Email {
		t.Errorf("app %+v", app)
	}
	vars, err := s.ConfigVarUpdate(ctx, app.ID, map[string]*string{"GREETING": new("hi")})
	check(t, err)
	if *vars["GREETING"] != "hi" {
		t.Errorf("config %v", vars)
	}
	_, err = s.AppDelete(ctx, name)
	check(t, err)
	_, err = s.AppInfo(ctx, name)
	if e, ok := errors.AsType[heroku.Error](err); !ok || e.ID != "not_found" || e.StatusCode != http.StatusNotFound {
		t.Errorf("a destroyed app: %#v", err)
	}

	t.Run("app", func(t *testing.T) { clientOfApp(t, w, s, f) })
	t.Run("pipeline", func(t *testing.T) { clientOfPipeline(t, s, f) })
	t.Run("people", func(t *testing.T) { clientOfPeople(t, s, f) })
}

func clientOfApp(t *testing.T, w *world, s *heroku.Service, f *tenant) {
	ctx, app := t.Context(), f.app.Name
	formation, err := s.FormationUpdate(ctx, app, "web", heroku.FormationUpdateOpts{Quantity: new(2)})
	check(t, err)
	if formation.Quantity != 2 || formation.Size != "Standard-1X" {
		t.Errorf("formation %+v", formation)
	}
	dynos, err := s.DynoList(ctx, app, nil)
	check(t, err)
	if len(dynos) != 1 || dynos[0].Name != "web.1" || dynos[0].State != "up" || dynos[0].Command != "serve" {
		t.Errorf("dynos %+v", dynos)
	}
	d, err := s.DynoCreate(ctx, app, heroku.DynoCreateOpts{Command: "bash", Attach: new(true)})
	check(t, err)
	if d.Type != "run" || d.AttachURL == nil || !strings.Contains(*d.AttachURL, "/rendezvous/") {
		t.Errorf("dyno %+v", d)
	}
	releases, err := s.ReleaseList(ctx, app, &heroku.ListRange{Field: "version", Max: 1, Descending: true})
	check(t, err)
	if len(releases) != 1 || releases[0].Version != 2 || !releases[0].Current {
		t.Errorf("releases %+v", releases)
	}
	back, err := s.ReleaseRollback(ctx, app, heroku.ReleaseRollbackOpts{Release: "1"})
	check(t, err)
	if back.Version != 3 || back.Status != "pending" || back.OutputStreamURL == nil {
		t.Errorf("rollback %+v", back)
	}
	slug, err := s.SlugInfo(ctx, app, string(f.build))
	check(t, err)
	if slug.ProcessTypes["web"] != "serve" {
		t.Errorf("slug %+v", slug)
	}
	var o heroku.BuildCreateOpts
	o.SourceBlob.URL = new(w.uploaded(w.secret))
	b, err := s.BuildCreate(ctx, app, o)
	check(t, err)
	if b.Status != "pending" || b.OutputStreamURL == "" {
		t.Errorf("build %+v", b)
	}
	domain, err := s.DomainCreate(ctx, app, heroku.DomainCreateOpts{Hostname: "www." + app + ".com"})
	check(t, err)
	if domain.Kind != "custom" || domain.CName == nil {
		t.Errorf("domain %+v", domain)
	}
	certs, err := s.SniEndpointList(ctx, app, nil)
	check(t, err)
	if len(certs) != 1 {
		t.Errorf("certificates %+v", certs)
	}
	drain, err := s.LogDrainCreate(ctx, app, heroku.LogDrainCreateOpts{URL: "https://other.example.com/" + app})
	check(t, err)
	_, err = s.LogDrainDelete(ctx, app, drain.ID)
	check(t, err)
	session, err := s.LogSessionCreate(ctx, app, heroku.LogSessionCreateOpts{Lines: new(10)})
	check(t, err)
	if !strings.Contains(session.LogplexURL, "/streams/") {
		t.Errorf("log session %+v", session)
	}
	features, err := s.AppFeatureList(ctx, app, nil)
	check(t, err)
	packs, err := s.BuildpackInstallationList(ctx, app, nil)
	check(t, err)
	sizes, err := s.DynoSizeList(ctx, nil)
	check(t, err)
	stacks, err := s.StackListByApp(ctx, app, nil)
	check(t, err)
	if len(features) == 0 || len(packs) != 1 || len(sizes) != len(stead.Sizes()) || len(stacks) == 0 {
		t.Errorf("features %v, packs %v, sizes %v, stacks %v", features, packs, sizes, stacks)
	}
}

func clientOfPipeline(t *testing.T, s *heroku.Service, f *tenant) {
	ctx := t.Context()
	p, err := s.PipelineInfo(ctx, f.org)
	check(t, err)
	couplings, err := s.PipelineCouplingListByPipeline(ctx, p.ID, nil)
	check(t, err)
	if len(couplings) != 2 || couplings[0].Stage != "staging" || couplings[1].Stage != "production" {
		t.Errorf("couplings %+v", couplings)
	}
	targets, err := s.PipelinePromotionTargetList(ctx, string(f.promotion), nil)
	check(t, err)
	if len(targets) != 1 || targets[0].App.ID != string(f.staging.ID) {
		t.Errorf("targets %+v", targets)
	}
	_, err = s.PipelineCouplingDelete(ctx, couplings[1].ID)
	check(t, err)
	_, err = s.PipelineDelete(ctx, p.ID)
	check(t, err)
}

func clientOfPeople(t *testing.T, s *heroku.Service, f *tenant) {
	ctx := t.Context()
	member, err := s.TeamMemberCreateOrUpdate(ctx, f.org, heroku.TeamMemberCreateOrUpdateOpts{Email: f.victim, Role: "admin"})
	check(t, err)
	if *member.Role != "admin" {
		t.Errorf("member %+v", member)
	}
	c, err := s.CollaboratorCreate(ctx, f.app.Name, heroku.CollaboratorCreateOpts{User: f.victim})
	check(t, err)
	if c.User.Email != f.victim {
		t.Errorf("collaborator %+v", c)
	}
	a, err := s.OAuthAuthorizationCreate(ctx, heroku.OAuthAuthorizationCreateOpts{Description: new("ci"), Scope: []string{"read"}})
	check(t, err)
	again, err := s.OAuthAuthorizationRegenerate(ctx, a.ID)
	check(t, err)
	if again.AccessToken == nil || again.AccessToken.Token == a.AccessToken.Token || again.Scope[0] != "read" {
		t.Errorf("regenerated %+v", again)
	}
	_, err = s.OAuthAuthorizationDelete(ctx, again.ID)
	check(t, err)
	keys, err := s.KeyList(ctx, nil)
	check(t, err)
	spaces, err := s.SpaceList(ctx, nil)
	check(t, err)
	apps, err := s.TeamAppListByTeam(ctx, f.org, nil)
	check(t, err)
	if len(keys) == 0 || len(spaces) == 0 || len(apps) != 2 {
		t.Errorf("keys %v, spaces %v, apps %v", keys, spaces, apps)
	}
}
