package git

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// Handler serves smart HTTP (https://git-scm.com/docs/http-protocol) at
// <prefix>/<app>.git/. Users authenticate by Basic auth: any user name, a token
// as the password.
func (s *Service) Handler(prefix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, strings.TrimSuffix(prefix, "/")+"/")
		ref, action := splitPath(rest)
		if !ok || action == "" {
			plain(w, http.StatusNotFound, "not a git repository of Stead; its address is in `stead info`")
			return
		}
		if r = s.authenticate(w, r); r == nil {
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // pushes take their time
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		if action == "/info/refs" {
			s.advertise(w, r, ref)
			return
		}
		s.rpc(w, r, ref, strings.TrimPrefix(action, "/"))
	})
}

func splitPath(path string) (ref, action string) {
	for _, a := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"} {
		if ref, ok := strings.CutSuffix(path, a); ok && ref != "" {
			return ref, a
		}
	}
	return "", ""
}

func (s *Service) authenticate(w http.ResponseWriter, r *http.Request) *http.Request {
	user, secret, ok := r.BasicAuth()
	if secret == "" {
		secret = user
	}
	if ok && secret != "" {
		actor, err := s.p.Authenticate(r.Context(), secret)
		if err == nil {
			return r.WithContext(stead.WithActor(r.Context(), actor))
		}
		if stead.KindOf(err) != stead.KindUnauthenticated {
			s.refuse(w, err)
			return nil
		}
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="Stead", charset="UTF-8"`)
	plain(w, http.StatusUnauthorized, "who are you? Run `stead login`, or give a token as the password")
	return nil
}

var statuses = map[stead.Kind]int{
	stead.KindInvalid: http.StatusBadRequest, stead.KindUnauthenticated: http.StatusUnauthorized,
	stead.KindForbidden: http.StatusForbidden, stead.KindNotFound: http.StatusNotFound,
	stead.KindConflict: http.StatusConflict, stead.KindPrecondition: http.StatusConflict,
	stead.KindLimit: http.StatusTooManyRequests, stead.KindUnavailable: http.StatusServiceUnavailable,
}

func (s *Service) refuse(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*stead.Error](err)
	if !ok {
		s.log.Error("git request failed", "err", err)
		plain(w, http.StatusInternalServerError, "the platform failed; try again, and tell the operator if it stays")
		return
	}
	text := e.Msg
	if e.Hint != "" {
		text += "\n" + e.Hint
	}
	status := statuses[e.Kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	plain(w, status, text)
}

// plain answers with a text that git shows to its user.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func noCache(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	w.Header().Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	w.Header().Set("Pragma", "no-cache")
}

func (s *Service) advertise(w http.ResponseWriter, r *http.Request, ref string) {
	verb, ok := ParseVerb(r.URL.Query().Get("service"))
	if r.Method != http.MethodGet || !ok {
		plain(w, http.StatusForbidden, "this git client is too old: it does not speak smart HTTP; use git 1.6.6 or newer")
		return
	}
	app, err := s.Open(r.Context(), ref, verb)
	if err != nil {
		s.refuse(w, err)
		return
	}
	noCache(w)
	w.Header().Set("Content-Type", "application/x-git-"+string(verb)+"-advertisement")
	protocol := r.Header.Get("Git-Protocol")
	if verb == ReceivePack || !strings.Contains(protocol, "version=2") {
		head := "# service=git-" + string(verb) + "\n"
		_, _ = fmt.Fprintf(w, "%04x%s0000", len(head)+4, head)
	}
	s.serve(w, r, app, Call{Verb: verb, Stateless: true, Advertise: true, Stdin: strings.NewReader("")})
}

func (s *Service) rpc(w http.ResponseWriter, r *http.Request, ref, service string) {
	verb, ok := ParseVerb(service)
	if r.Method != http.MethodPost || !ok || r.Header.Get("Content-Type") != "application/x-git-"+string(verb)+"-request" {
		plain(w, http.StatusUnsupportedMediaType, "not a request of a git client")
		return
	}
	app, err := s.Open(r.Context(), ref, verb)
	if err != nil {
		s.refuse(w, err)
		return
	}
	body, err := s.body(w, r)
	if err != nil {
		plain(w, http.StatusBadRequest, "the request's body cannot be read: "+err.Error())
		return
	}
	noCache(w)
	w.Header().Set("Content-Type", "application/x-git-"+string(verb)+"-result")
	s.serve(w, r, app, Call{Verb: verb, Stateless: true, Stdin: body})
}

// body returns the request's body, unpacked and limited.
func (s *Service) body(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	const slack = 1 << 20 // what is not pack: ref updates, wants and haves
	raw := http.MaxBytesReader(w, r.Body, s.c.MaxInput+slack)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bufio.NewReader(raw))
		if err != nil {
			return nil, err
		}
		return io.LimitReader(z, s.c.MaxInput+slack), nil
	}
	return nil, errors.New("its encoding is neither gzip nor none")
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request, app stead.App, c Call) {
	c.Protocol = r.Header.Get("Git-Protocol")
	c.Stdout = flusher{w, http.NewResponseController(w)}
	exit, err := s.Serve(r.Context(), app, c)
	if (err != nil || exit != 0) && r.Context().Err() == nil {
		s.log.Warn("git ended badly", "verb", c.Verb, "app", app.Name, "exit", exit, "err", err)
	}
}

// flusher sends each write at once: progress is worth nothing later.
type flusher struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		_ = f.rc.Flush()
	}
	return n, err
}
