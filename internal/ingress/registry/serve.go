package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// target is what a request is about.
type target struct {
	repository string // as named by the client; empty: the API's root or the catalogue
	kind       string // "manifests", "blobs", "tags", "referrers"; "_catalog"; "" for the root
	rest       string // after the kind: a tag, a digest, "uploads/…"
}

// A path component as the distribution specification defines it.
var pathGrammar = regexp.MustCompile(`^/v2/([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)/(manifests|blobs|tags|referrers)/([A-Za-z0-9._:=+/-]+)$`)

func parseTarget(path string) (target, bool) {
	switch path {
	case "/v2", "/v2/":
		return target{}, true
	case "/v2/_catalog":
		return target{kind: "_catalog"}, true
	}
	m := pathGrammar.FindStringSubmatch(path)
	if m == nil || len(m[1]) > 255 {
		return target{}, false
	}
	return target{m[1], m[2], m[3]}, true
}

// access is what a request was granted.
type access struct {
	ctx    context.Context
	app    stead.App // of a person's request
	person bool
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	t, ok := parseTarget(req.URL.Path)
	if !ok {
		refuse(w, stead.NotFound("repository", req.URL.Path))
		return
	}
	a, err := r.authorize(req, t)
	if err != nil {
		refuse(w, err)
		return
	}
	if t.kind == "manifests" && req.Method == http.MethodPut {
		req.Body = http.MaxBytesReader(w, req.Body, MaxManifest)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.touch(req, t)
	if !a.person || t.repository == "" {
		r.app.ServeHTTP(w, req)
		return
	}
	r.servePerson(w, req, t, a)
}

// servePerson answers under the app's own repository. Mounting a blob from
// another repository is not offered: it would give away other apps' layers.
func (r *Registry) servePerson(w http.ResponseWriter, req *http.Request, t target, a access) {
	repository := "apps/" + string(a.app.ID)
	inner := req.Clone(req.Context())
	inner.URL.Path = "/v2/" + repository + "/" + t.kind + "/" + t.rest
	inner.URL.RawPath = ""
	q := inner.URL.Query()
	q.Del("mount")
	q.Del("from")
	inner.URL.RawQuery = q.Encode()
	inner.RequestURI = inner.URL.RequestURI()
	if req.Method != http.MethodPut || t.kind != "manifests" || strings.Contains(t.rest, ":") {
		r.app.ServeHTTP(w, inner)
		return
	}
	rec := &held{header: http.Header{}}
	r.app.ServeHTTP(rec, inner)
	if digest := rec.header.Get("Docker-Content-Digest"); rec.status == http.StatusCreated && r.cfg.OnPush != nil {
		if err := r.cfg.OnPush(a.ctx, a.app, repository+"@"+digest); err != nil {
			refuse(w, err)
			return
		}
	}
	rec.send(w)
}

// touch renews the age of a blob or manifest that a client was told to be
// there, so that a collection does not take it before the client refers to it.
func (r *Registry) touch(req *http.Request, t target) {
	hex, ok := strings.CutPrefix(t.rest, "sha256:")
	if !ok || len(hex) != 64 || strings.ContainsAny(hex, "/.") {
		return
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Join(r.root(), "blobs/sha256", hex[:2], hex, "data"), now, now)
}

func (r *Registry) root() string { return filepath.Join(r.cfg.Dir, "docker/registry/v2") }

// held keeps a small answer back until it is known to be true.
type held struct {
	header http.Header
	status int
	body   []byte
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if len(h.body)+len(p) > MaxManifest {
		return 0, errors.New("answer too large")
	}
	h.body = append(h.body, p...)
	return len(p), nil
}

func (h *held) send(w http.ResponseWriter) {
	for k, v := range h.header {
		w.Header()[k] = v
	}
	w.WriteHeader(max(h.status, http.StatusOK))
	_, _ = w.Write(h.body)
}

// answers maps a kind of error to the status and code of the distribution
// specification.
var answers = map[stead.Kind]struct {
	status int
	code   string
}{
	stead.KindUnauthenticated: {http.StatusUnauthorized, "UNAUTHORIZED"},
	stead.KindForbidden:       {http.StatusForbidden, "DENIED"},
	stead.KindNotFound:        {http.StatusNotFound, "NAME_UNKNOWN"},
	stead.KindInvalid:         {http.StatusBadRequest, "NAME_INVALID"},
	stead.KindConflict:        {http.StatusConflict, "DENIED"},
	stead.KindPrecondition:    {http.StatusPreconditionFailed, "DENIED"},
	stead.KindLimit:           {http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	stead.KindUnavailable:     {http.StatusServiceUnavailable, "UNKNOWN"},
}

func refuse(w http.ResponseWriter, err error) {
	a, ok := answers[stead.KindOf(err)]
	msg := "the registry failed"
	if !ok {
		a.status, a.code = http.StatusInternalServerError, "UNKNOWN"
	}
	if e, is := errors.AsType[*stead.Error](err); is {
		msg = e.Msg
		if e.Hint != "" {
			msg += "; " + e.Hint
		}
	}
	if a.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="stead", charset="UTF-8"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": a.code, "message": msg}}})
}
