package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// These requests end before any use-case, so no platform is behind them.
func TestRefusals(t *testing.T) {
	h := New(Config{Platform: platform.New(platform.Deps{})})
	tests := []struct {
		name, method, path, body string
		status                   int
		kind, field, says        string
	}{
		{"no token", "GET", "/v1/apps", "", 401, "unauthenticated", "", "token"},
		{"unknown path", "GET", "/v1/dynos", "", 404, "not_found", "", "nothing at this path"},
		{"wrong method", "PUT", "/v1/apps", "", 405, "invalid", "", "no method PUT"},
		{"malformed", "POST", "/v1/login", `{"email":`, 400, "invalid", "body", ""},
		{"unknown field", "POST", "/v1/login", `{"email":"a@b","password":"x","admin":true}`, 422, "invalid", "admin", "unexpected property"},
		{"missing field", "POST", "/v1/login", `{"email":"a@b"}`, 422, "invalid", "body", "password"},
		{"wrong type", "POST", "/v1/login", `{"email":1,"password":"x"}`, 422, "invalid", "email", "string"},
		{"no body", "POST", "/v1/login", "", 400, "invalid", "", "body"},
		{"too large", "POST", "/v1/login", `{"email":"` + strings.Repeat("a", maxBody) + `"}`, 413, "limit", "", ""},
		{"unknown query", "GET", "/v1/version?x=1", "", 422, "invalid", "query.x", "unknown query parameter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set("X-Request-Id", "trace-1")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var p stead.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v in %q", err, w.Body)
			}
			if w.Code != tt.status || p.Status != tt.status || p.Kind != tt.kind || p.Field != tt.field || !strings.Contains(p.Detail, tt.says) {
				t.Errorf("got %d %+v", w.Code, p)
			}
			if w.Header().Get("Content-Type") != problemType || p.Title == "" || p.Detail == "" || p.Hint == "" || p.RequestID != "trace-1" {
				t.Errorf("incomplete: %s %+v", w.Header().Get("Content-Type"), p)
			}
			if tt.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	for k := stead.KindInternal; k <= stead.KindUnavailable; k++ {
		if got := statusOf(k); got == http.StatusInternalServerError && k != stead.KindInternal {
			t.Errorf("%s is a 500", k)
		}
	}
}

func TestRequestIDIsMadeUpWhenUnusable(t *testing.T) {
	h := New(Config{Version: "1.2.3"})
	r := httptest.NewRequest("GET", "/v1/version", nil)
	r.Header.Set("X-Request-Id", "a b\"c")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if id := w.Header().Get("X-Request-Id"); !requestID.MatchString(id) {
		t.Errorf("request id %q", id)
	}
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"1.2.3"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
