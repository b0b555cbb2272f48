package client

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/steadpaas/stead"
)

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	_, err := New(srv.URL, "x").Me(t.Context())
	if e, ok := err.(*stead.Error); !ok || e.Kind != stead.KindUnavailable || e.Hint == "" {
		t.Errorf("got %#v", err)
	}
	for _, base := range []string{"", "localhost:7800", "ftp://x", "http://"} {
		if _, err := New(base, "x").Me(t.Context()); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestRetries(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"kind":"unavailable","detail":"busy","hint":"wait","field":"f"}`))
			return
		}
		_, _ = w.Write([]byte(`{"email":"a@b"}`))
	}))
	defer srv.Close()
	c := New(srv.URL, "x")
	if u, err := c.Me(t.Context()); err != nil || u.Email != "a@b" || asked.Load() != 3 {
		t.Errorf("%+v %v after %d tries", u, err, asked.Load())
	}
	asked.Store(0)
	_, err := c.CreateOrg(t.Context(), "x")
	if e, ok := err.(*stead.Error); !ok || e.Kind != stead.KindUnavailable || e.Msg != "busy" || e.Hint != "wait" || e.Field != "f" || asked.Load() != 1 {
		t.Errorf("a POST: %#v after %d tries", err, asked.Load())
	}
}

// A redirect is not followed: the token is for one platform.
func TestRedirect(t *testing.T) {
	away := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the token went away: %v", r.Header)
	}))
	defer away.Close()
	srv := httptest.NewServer(http.RedirectHandler(away.URL, http.StatusFound))
	defer srv.Close()
	if _, err := New(srv.URL, "secret").Me(t.Context()); stead.KindOf(err) != stead.KindUnavailable {
		t.Errorf("got %v", err)
	}
}

// A certificate that is not trusted is told as such: the platform does answer.
func TestUntrusted(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	_, err := New(srv.URL, "secret").Me(t.Context())
	if e, ok := err.(*stead.Error); !ok || !strings.Contains(e.Msg, "does not trust") || !strings.Contains(e.Hint, "SSL_CERT_FILE") {
		t.Errorf("got %#v", err)
	}
}
