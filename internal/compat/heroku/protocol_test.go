package heroku

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/steadpaas/stead"
)

// TestRanges pages through releases as the CLI does.
func TestRanges(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	for range 3 {
		w.deploy(t, f)
	}
	path := "/apps/" + f.app.Name + "/releases"
	var got []int
	next := "version ..; max=2, order=desc"
	for n := 0; next != "" && n < 10; n++ {
		rec := w.send("GET", path, "", w.secret, http.Header{"Range": {next}})
		var page []struct{ Version int }
		check(t, json.Unmarshal(rec.Body.Bytes(), &page))
		for _, r := range page {
			got = append(got, r.Version)
		}
		next = rec.Header().Get("Next-Range")
		want := http.StatusOK
		if next != "" {
			want = http.StatusPartialContent
		}
		if rec.Code != want || !strings.HasPrefix(rec.Header().Get("Content-Range"), "version ") {
			t.Errorf("%d, Content-Range %q, Next-Range %q", rec.Code, rec.Header().Get("Content-Range"), next)
		}
	}
	if text, _ := json.Marshal(got); string(text) != "[5,4,3,2,1]" {
		t.Errorf("paged through %s", text)
	}
	for _, bad := range []string{"version ..; max=0", "version ..; max=5000", "version ..; order=up", "; ;", "secret ..", strings.Repeat("x", 9000)} {
		refused(t, w.send("GET", path, "", w.secret, http.Header{"Range": {bad}}), http.StatusUnprocessableEntity, "invalid_params")
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"version ..; max=15, order=desc", "id ]a..; max=1000;", "name a..b", "id ..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := parseRange(s)
		if err == nil && (w.max < 1 || w.max > maxPage) {
			t.Errorf("%q: a page of %d", s, w.max)
		}
	})
}

// TestHeaders holds what Heroku's clients rely on.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	first := w.send("GET", "/apps/"+f.app.Name, "", w.secret, nil)
	tag := first.Header().Get("ETag")
	again := w.send("GET", "/apps/"+f.app.Name, "", w.secret, http.Header{"If-None-Match": {tag}})
	if tag == "" || again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("ETag %q: %d %s", tag, again.Code, again.Body)
	}
	a, b := first.Header().Get("RateLimit-Remaining"), again.Header().Get("RateLimit-Remaining")
	if a == "" || a == b {
		t.Errorf("RateLimit-Remaining %q, then %q", a, b)
	}
	if !stead.IsID(first.Header().Get("Request-Id")) {
		t.Errorf("Request-Id %q", first.Header().Get("Request-Id"))
	}
	basic := httptest.NewRequest("GET", Prefix+"/account", nil)
	basic.SetBasicAuth("", w.secret)
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, basic)
	if rec.Code != http.StatusOK {
		t.Errorf("a token as a Basic password: %d", rec.Code)
	}
}

// TestRefusals holds the form of errors, and that they say what to do.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	f := w.tenant(t)
	app := "/apps/" + f.app.Name
	for _, tt := range []struct {
		method, path, body string
		status             int
		id                 string
	}{
		{"GET", "/apps/nothing-of-the-kind", "", 404, "not_found"}, {"GET", "/no/such/endpoint", "", 404, "not_found"}, {"DELETE", "/apps", "", 404, "not_found"},
		{"GET", "/apps/%2e%2e%2fetc", "", 404, "not_found"}, {"GET", "//apps", "", 404, "not_found"},
		{"POST", "/apps", `{"name":"Not A Name"}`, 422, "invalid_params"}, {"POST", "/apps", `{"name":`, 422, "invalid_params"}, {"POST", "/apps", `[]`, 422, "invalid_params"},
		{"POST", "/apps", `{"name":"` + f.app.Name + `","team":"` + f.org + `"}`, 409, "conflict"},
		{"POST", "/apps", `{"stack":"heroku-18"}`, 422, "invalid_params"}, {"POST", "/apps", `{"name":"` + strings.Repeat("a", 2<<20) + `"}`, 429, "rate_limit"},
		{"PATCH", app + "/config-vars", `{"PORT":"1"}`, 422, "invalid_params"}, {"PATCH", app + "/config-vars", `{"A":{}}`, 422, "invalid_params"},
		{"PATCH", app + "/formation", `{"updates":[{"type":"web","quantity":"many"}]}`, 422, "invalid_params"},
		{"PATCH", app + "/formation", `{"updates":[{"type":"web","quantity":1,"size":"Huge"}]}`, 422, "invalid_params"},
		{"PATCH", app + "/formation", `{"updates":[{"type":"nope","quantity":1}]}`, 404, "not_found"},
		{"POST", app + "/dynos", `{}`, 422, "invalid_params"}, {"POST", app + "/dynos", `{"command":"a\u0000b"}`, 422, "invalid_params"},
		{"GET", app + "/releases/99", "", 404, "not_found"}, {"POST", app + "/releases", `{"release":"99"}`, 404, "not_found"}, {"POST", app + "/releases", `{"slug":"x"}`, 422, "invalid_params"},
		{"POST", app + "/domains", `{"hostname":"https://example.com/"}`, 422, "invalid_params"}, {"POST", app + "/collaborators", `{"user":"nobody@example.com"}`, 404, "not_found"},
		{"POST", "/account/app-transfers", `{"app":"x","recipient":"a@example.com"}`, 404, "not_offered"},
		{"PATCH", "/teams/apps/" + f.app.Name, `{"owner":"a@example.com"}`, 422, "invalid_params"},
		{"POST", "/oauth/authorizations", `{"scope":["everything"]}`, 422, "invalid_params"}, {"PATCH", "/account", `{"password":"wrong","new_password":"something long"}`, 403, "forbidden"},
		{"PATCH", app + "/features/preboot", `{"enabled":false}`, 422, "invalid_params"}, {"POST", app + "/log-drains", `{"url":"gopher://x"}`, 422, "invalid_params"},
		{"POST", app + "/sni-endpoints", `{"certificate_chain":"x","private_key":"y"}`, 422, "invalid_params"},
	} {
		rec := w.send(tt.method, tt.path, tt.body, w.secret, nil)
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), `"id":"`+tt.id+`"`) || !strings.Contains(rec.Body.String(), `"message":"`) {
			t.Errorf("%s %s %.60s: %d %.200s, want %d %s", tt.method, tt.path, tt.body, rec.Code, rec.Body, tt.status, tt.id)
		}
	}
}
