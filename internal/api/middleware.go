package api

import (
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
)

// maxBody is the largest JSON body, in bytes: more than the largest Config.
const maxBody = 1 << 20

func typeFor[T any]() reflect.Type { return reflect.TypeFor[T]() }

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// outer gives each request an id, a log line and an answer, whatever happens.
func (s *server) outer(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx := stead.WithRequestID(r.Context(), id)
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			ctx = auth.WithRemote(ctx, host)
		}
		r = r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		defer func() { s.finish(rec, r, start, recover()) }()
		if _, pattern := mux.Handler(r); pattern == "" {
			s.nowhere(rec, r, mux)
			return
		}
		mux.ServeHTTP(rec, r)
	})
}

// finish answers a request whose handler panicked, and logs it.
func (s *server) finish(w *recorder, r *http.Request, start time.Time, caught any) {
	id := stead.RequestIDFrom(r.Context())
	if caught != nil && caught != http.ErrAbortHandler {
		s.log.Error("handler panicked", "panic", caught, "request_id", id, "stack", string(debug.Stack()))
		if w.status == 0 {
			newProblem(r.Context(), http.StatusInternalServerError, &stead.Error{
				Msg: "the platform failed to do this; it is not your fault", Hint: "give your operator the request id " + id}).write(w)
		}
	}
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", w.status), slog.Duration("took", time.Since(start)), slog.String("request_id", id))
}

// nowhere answers what is no operation: 404, or 405 with Allow.
func (s *server) nowhere(w *recorder, r *http.Request, mux *http.ServeMux) {
	var said mute
	mux.ServeHTTP(&said, r)
	status := http.StatusNotFound
	e := &stead.Error{Kind: stead.KindNotFound, Msg: "there is nothing at this path", Hint: "see /openapi.json for what there is"}
	if allow := said.Header().Get("Allow"); said.status == http.StatusMethodNotAllowed && allow != "" {
		status = said.status
		w.Header().Set("Allow", allow)
		e.Kind, e.Msg, e.Hint = stead.KindInvalid, "this path has no method "+r.Method[:min(len(r.Method), 20)], "use "+allow
	}
	newProblem(r.Context(), status, e).write(w)
}

// mute keeps what a handler says to itself.
type mute struct {
	h      http.Header
	status int
}

func (m *mute) Header() http.Header {
	if m.h == nil {
		m.h = http.Header{}
	}
	return m.h
}
func (m *mute) Write(p []byte) (int, error) { return len(p), nil }
func (m *mute) WriteHeader(code int)        { m.status = code }

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(code int) {
	if r.status == 0 {
		r.status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// authenticate puts the actor behind the bearer token into the context.
func (s *server) authenticate(ctx huma.Context, next func(huma.Context)) {
	if isOpen(ctx.Operation()) {
		next(ctx)
		return
	}
	scheme, secret, _ := strings.Cut(ctx.Header("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		s.refuse(ctx, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "the request carries no token",
			Hint: "log in, and send the header Authorization: Bearer TOKEN"})
		return
	}
	actor, err := s.p.Authenticate(ctx.Context(), strings.TrimSpace(secret))
	if err != nil {
		s.refuse(ctx, err)
		return
	}
	next(huma.WithContext(ctx, stead.WithActor(ctx.Context(), actor)))
}

// refuse answers from within huma's middleware.
func (s *server) refuse(ctx huma.Context, err error) {
	_, w := unwrap(ctx)
	s.problem(ctx.Context(), err).write(w)
}
