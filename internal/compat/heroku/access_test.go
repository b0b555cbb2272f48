package heroku

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// tenants are the parameters that name something of a tenant.
var tenants = []string{"{app}", "{team}", "{space}", "{pipeline}", "{coupling}", "{promotion}"}

func ofTenant(r route) bool {
	return slices.ContainsFunc(tenants, func(p string) bool { return strings.Contains(r.Path, p) })
}

// ownBody are routes that name a tenant's thing in their body.
var ownBody = []string{"POST /pipeline-couplings", "POST /pipeline-promotions", "POST /pipelines", "POST /spaces", "POST /teams/apps"}

// reads are routes that change nothing although they are no GET.
var reads = []string{"POST /apps/{app}/log-sessions", "POST /filters/apps", "POST /apps/{app}/sources", "POST /sources"}

// TestAccess tries every route as nobody, as a foreign tenant, as one who may
// only read, and with a token that may only read.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	foreign, auditor := w.person(t, "eve@example.com"), w.person(t, "auditor@example.com")
	_, err := w.p.SetMember(w.admin, f.org, "", auditor, stead.RoleAuditor)
	check(t, err)
	narrow, err := w.p.CreateToken(w.as(t, w.people[f.victim]), "narrow", stead.ScopeRead, time.Hour)
	check(t, err)
	for _, r := range routes() {
		name := r.Method + " " + r.Path
		t.Run(name, func(t *testing.T) {
			if got := w.ask(r, f, "").Code; got != http.StatusUnauthorized {
				t.Errorf("nobody: %d", got)
			}
			if r.do == nil {
				return
			}
			if got := w.ask(r, f, w.people[foreign]).Code; (ofTenant(r) || slices.Contains(ownBody, name)) && got != http.StatusNotFound {
				t.Errorf("a foreign tenant: %d, want 404", got)
			}
			if !ofTenant(r) || r.Method == http.MethodGet || slices.Contains(reads, name) {
				return
			}
			for who, token := range map[string]string{"an auditor": w.people[auditor], "a read token": narrow.Secret} {
				if got := w.ask(r, f, token).Code; got != http.StatusForbidden && !(got == http.StatusNotFound && r.none) && !harmless(name) {
					t.Errorf("%s: %d, want 403", who, got)
				}
			}
		})
	}
}

// harmless are routes that agree to what is already so.
func harmless(name string) bool {
	return slices.Contains([]string{"PATCH /apps/{app}/features/{feature}", "PATCH /apps/{app}/domains/{domain}"}, name)
}

// TestStreamsNeedTheirSecret tries the URLs that are secrets with wrong ones,
// and takes the access of who made a right one.
func TestStreamsNeedTheirSecret(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	for _, path := range []string{"/streams/x", "/uploads/x", "/rendezvous/x", "/auth/cli/x", "/streams/", "/rendezvous/"} {
		method := http.MethodGet
		if strings.HasPrefix(path, "/uploads") {
			method = http.MethodPut
		}
		header := http.Header{"Upgrade": {rendezvousProtocol}}
		if got := w.send(method, path, "", w.secret, header).Code; got != http.StatusNotFound {
			t.Errorf("%s: %d", path, got)
		}
	}
	url := w.logSession(t, f, w.people[f.victim])
	if got := w.send("GET", url, "", "", nil).Code; got != http.StatusOK {
		t.Errorf("the log session's URL: %d", got)
	}
	check(t, w.p.RemoveMember(w.admin, f.org, "", f.victim))
	check(t, w.p.RemoveMember(w.admin, f.org, f.space, f.victim))
	check(t, w.p.RemoveCollaborator(w.admin, string(f.app.ID), f.victim))
	if got := w.send("GET", url, "", "", nil).Code; got != http.StatusNotFound {
		t.Errorf("the URL of one who lost access: %d", got)
	}
	// An upload belongs to who made it.
	eve := w.person(t, "eve@example.com")
	_, err := w.p.SetMember(w.admin, f.org, "", eve, stead.RoleDeveloper)
	check(t, err)
	body := `{"source_blob":{"url":"` + w.uploaded(w.secret) + `"}}`
	refused(t, w.send("POST", "/apps/"+f.app.Name+"/builds", body, w.people[eve], nil), http.StatusUnprocessableEntity, "invalid_params")
	refused(t, w.send("POST", "/apps/"+f.app.Name+"/builds", `{"source_blob":{"url":"http://169.254.169.254/"}}`, w.secret, nil),
		http.StatusUnprocessableEntity, "invalid_params")
}

// logSession makes one and returns its path.
func (w *world) logSession(t *testing.T, f *tenant, token string) string {
	t.Helper()
	rec := w.send("POST", "/apps/"+string(f.app.ID)+"/log-sessions", `{"lines":5}`, token, nil)
	_, rest, ok := strings.Cut(rec.Body.String(), Prefix+"/streams/")
	if !ok {
		t.Fatalf("no URL in %s", rec.Body)
	}
	secret, _, _ := strings.Cut(rest, `"`)
	return "/streams/" + secret
}
