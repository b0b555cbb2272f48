package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"index.html": "home", "about.html": "about", "404.html": "lost", "css/a.css": "a{}", ".env": "secret",
		".git/config": "secret", ".well-known/x": "wk", "docs/index.html": "docs"} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	h := Handler(root.FS(), Options{NotFound: "404.html"})
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/", 200, "home"}, {"GET", "/about", 200, "about"}, {"GET", "/about.html", 200, "about"}, {"GET", "/css/a.css", 200, "a{}"},
		{"GET", "/docs/", 200, "docs"}, {"GET", "/docs", 301, ""}, {"GET", "/css/", 404, "lost"}, {"GET", "/nope", 404, "lost"},
		{"GET", "/.env", 404, "lost"}, {"GET", "/.git/config", 404, "lost"}, {"GET", "/.well-known/x", 200, "wk"}, {"GET", "/out", 404, "lost"},
		{"GET", "/../../etc/passwd", 404, "lost"}, {"POST", "/", 405, "method"}, {"HEAD", "/", 200, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.code || !strings.HasPrefix(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, w.Code, w.Body, c.code, c.body)
		}
	}
}

func TestSinglePage(t *testing.T) {
	tree := fstest.MapFS{"index.html": {Data: []byte("home")}, "a.js": {Data: []byte("a()")}, "lost.html": {Data: []byte("lost")}}
	h := Handler(tree, Options{SPA: true, NotFound: "lost.html"})
	for url, want := range map[string]string{"/users/7": "200 home", "/users/7.html": "200 home", "/a.js": "200 a()", "/b.js": "404 lost", "/.env": "404 lost", "/": "200 home"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
		if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}
