package heroku

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/steadpaas/stead"
)

// fault is an error as Heroku writes it
// (https://devcenter.heroku.com/articles/platform-api-reference#errors).
type fault struct {
	ID       string `json:"id"`
	Message  string `json:"message"`
	URL      string `json:"url,omitempty"`
	Resource string `json:"resource,omitempty"`
}

// absentError is a route that Stead does not offer.
type absentError struct{ path, why string }

func (e *absentError) Error() string { return e.path + " is not offered: " + e.why }

// faultOf is the one table from kinds to Heroku's statuses and ids.
func faultOf(k stead.Kind) (status int, id string) {
	switch k {
	case stead.KindInvalid:
		return http.StatusUnprocessableEntity, "invalid_params"
	case stead.KindUnauthenticated:
		return http.StatusUnauthorized, "unauthorized"
	case stead.KindForbidden:
		return http.StatusForbidden, "forbidden"
	case stead.KindNotFound:
		return http.StatusNotFound, "not_found"
	case stead.KindConflict:
		return http.StatusConflict, "conflict"
	case stead.KindPrecondition:
		return http.StatusUnprocessableEntity, "invalid_params"
	case stead.KindLimit:
		return http.StatusTooManyRequests, "rate_limit"
	case stead.KindUnavailable:
		return http.StatusServiceUnavailable, "unavailable"
	}
	return http.StatusInternalServerError, "internal_server_error"
}

// fail answers with an error. What is our fault is logged and kept from the
// caller but for the request's id.
func (c *call) fail(err error) {
	if a, ok := errors.AsType[*absentError](err); ok {
		c.write(http.StatusNotFound, fault{ID: "not_offered", Message: "Stead does not offer this: " + a.why})
		return
	}
	e, ok := errors.AsType[*stead.Error](err)
	if !ok || e.Kind == stead.KindInternal {
		e = c.internal(err)
	}
	status, id := faultOf(e.Kind)
	f := fault{ID: id, Message: sentence(e)}
	if e.Kind == stead.KindNotFound {
		f.Resource = c.resource(e)
	}
	switch status {
	case http.StatusUnauthorized:
		c.w.Header().Set("WWW-Authenticate", `Basic realm="Stead"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		c.w.Header().Set("Retry-After", "1")
	}
	c.write(status, f)
}

// resource is the noun of what was not found, in Heroku's words.
func (c *call) resource(e *stead.Error) string {
	rest, ok := strings.CutPrefix(e.Msg, "no ")
	if !ok {
		return ""
	}
	noun, _, _ := strings.Cut(rest, " ")
	if h, ok := map[string]string{"org": "team", "process": "formation", "instance": "dyno", "task": "dyno", "token": "authorization", "user": "account"}[noun]; ok {
		return h
	}
	return noun
}

func (c *call) internal(err error) *stead.Error {
	if c.ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return &stead.Error{Kind: stead.KindUnavailable, Msg: "the request ended before its answer", Hint: "try again"}
	}
	id := stead.RequestIDFrom(c.ctx)
	c.log.ErrorContext(c.ctx, "request failed", "error", err, "request_id", id)
	return &stead.Error{Kind: stead.KindInternal, Msg: "the platform failed to do this; it is not your fault",
		Hint: "try again; if it stays, give your operator the request id " + id}
}

// sentence is the one text that Heroku's errors have.
func sentence(e *stead.Error) string {
	msg := strings.ToUpper(e.Msg[:1]) + e.Msg[1:]
	if e.Hint == "" {
		return msg
	}
	return msg + ". " + strings.ToUpper(e.Hint[:1]) + e.Hint[1:] + "."
}
