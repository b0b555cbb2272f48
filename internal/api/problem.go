package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
)

const problemType = "application/problem+json"

// statusOf is the one table from kinds to HTTP statuses. Malformed JSON is 400
// and a body that is too large 413, both before any use-case is asked; an
// If-Match that no longer holds is 412. A precondition of the domain (no
// release yet) is 409, because no header of the request states it.
func statusOf(k stead.Kind) int {
	switch k {
	case stead.KindInvalid:
		return http.StatusUnprocessableEntity
	case stead.KindUnauthenticated:
		return http.StatusUnauthorized
	case stead.KindForbidden:
		return http.StatusForbidden
	case stead.KindNotFound:
		return http.StatusNotFound
	case stead.KindConflict, stead.KindPrecondition:
		return http.StatusConflict
	case stead.KindLimit:
		return http.StatusTooManyRequests
	case stead.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// kindOf is the kind of a status that was given without one.
func kindOf(status int) stead.Kind {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return stead.KindNotFound
	case http.StatusRequestEntityTooLarge:
		return stead.KindLimit
	case http.StatusRequestTimeout:
		return stead.KindUnavailable
	}
	if status < 500 {
		return stead.KindInvalid
	}
	return stead.KindInternal
}

// problem is an error on its way out; it is a huma.StatusError.
type problem struct{ stead.Problem }

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return problemType }

// problem translates an error. What is our fault is logged and kept from the
// user but for the request's id.
func (s *server) problem(ctx context.Context, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*stead.Error](err)
	if ok && e.Kind == stead.KindInternal {
		s.log.ErrorContext(ctx, "request failed", "error", err, "request_id", stead.RequestIDFrom(ctx))
	} else if !ok {
		e = s.internal(ctx, err)
	}
	return newProblem(ctx, statusOf(e.Kind), e)
}

func (s *server) internal(ctx context.Context, err error) *stead.Error {
	if ctx.Err() != nil {
		return &stead.Error{Kind: stead.KindUnavailable, Msg: "the request ended before its answer", Hint: "try again"}
	}
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &stead.Error{Kind: stead.KindLimit, Msg: "the upload is larger than " + strconv.FormatInt(big.Limit, 10) + " bytes",
			Hint: "leave out what the build does not need, with .steadignore"}
	}
	id := stead.RequestIDFrom(ctx)
	s.log.LogAttrs(ctx, slog.LevelError, "request failed", slog.Any("error", err), slog.String("request_id", id))
	return &stead.Error{Kind: stead.KindInternal, Msg: "the platform failed to do this; it is not your fault",
		Hint: "try again; if it stays, give your operator the request id " + id}
}

func newProblem(ctx context.Context, status int, e *stead.Error) *problem {
	return &problem{stead.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Kind: e.Kind.String(),
		Detail: e.Msg, Hint: e.Hint, Field: e.Field, RequestID: stead.RequestIDFrom(ctx)}}
}

// transform gives huma's own errors our form, and sets the headers that go
// with a status.
func (s *server) transform(ctx huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		v = s.refused(ctx.Context(), m)
	}
	if p, ok := v.(*problem); ok {
		problemHeaders(p.Status, ctx.SetHeader)
	}
	return v, nil
}

func problemHeaders(status int, set func(k, v string)) {
	switch status {
	case http.StatusUnauthorized:
		set("WWW-Authenticate", `Bearer realm="stead"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		set("Retry-After", "1")
	}
}

// refused is the problem of input that does not fit the OpenAPI document.
func (s *server) refused(ctx context.Context, m *huma.ErrorModel) *problem {
	if m.Status >= 500 {
		return s.problem(ctx, m)
	}
	e := &stead.Error{Kind: kindOf(m.Status), Msg: m.Detail, Hint: "compare the request with /openapi.json"}
	var why []string
	for i, d := range m.Errors {
		where := strings.TrimPrefix(d.Location, "body.")
		if i == 0 {
			e.Field = where
		}
		if i < 5 {
			why = append(why, strings.TrimPrefix(where+": "+d.Message, ": "))
		}
	}
	if len(why) > 0 {
		e.Msg = "the input is not usable: " + strings.Join(why, "; ")
	}
	if len(e.Msg) > 1000 {
		e.Msg = strings.ToValidUTF8(e.Msg[:1000], "") + "…"
	}
	if len(e.Field) > 200 {
		e.Field = strings.ToValidUTF8(e.Field[:200], "")
	}
	return newProblem(ctx, m.Status, e)
}

// write sends a problem outside of huma.
func (p *problem) write(w http.ResponseWriter) {
	problemHeaders(p.Status, w.Header().Set)
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone: nobody to tell
}

// finishDocument describes our errors instead of huma's.
func (s *server) finishDocument() {
	doc := s.api.OpenAPI()
	schema := doc.Components.Schemas.Schema(typeFor[stead.Problem](), true, "Problem")
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	for _, item := range doc.Paths {
		for _, o := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
			if o != nil {
				o.Responses["default"] = &huma.Response{Description: "What went wrong, as in RFC 9457.",
					Content: map[string]*huma.MediaType{problemType: {Schema: schema}}}
			}
		}
	}
}
