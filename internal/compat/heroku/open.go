package heroku

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/steadpaas/stead"
)

// open answers the URLs that are secrets by themselves, and the browser's login.
func (s *server) open(w http.ResponseWriter, r *http.Request, path string) bool {
	kind, secret, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch kind {
	case "streams":
		s.stream(w, r, secret)
	case "uploads":
		s.receive(w, r, secret)
	case "rendezvous":
		s.join(w, r, secret)
	case "auth":
		s.login(w, r, secret)
	default:
		return false
	}
	return true
}

func (s *server) stream(w http.ResponseWriter, r *http.Request, secret string) {
	if r.Method != http.MethodGet {
		s.refuse(w, r, stead.NotFound("session", "of this URL"))
		return
	}
	if actor, t, ok := use[tailing](s.tickets, secret); ok {
		s.tail(w, r, actor, t)
		return
	}
	if actor, p, ok := use[printing](s.tickets, secret); ok {
		s.print(w, r, actor, p)
		return
	}
	s.refuse(w, r, stead.NotFound("session", "of this URL"))
}

// refuse answers with an error outside of a call.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	c := &call{server: s, w: w, r: r, ctx: r.Context()}
	c.fail(err)
}

// explain says an error on a connection that has no other place for it.
func (s *server) explain(ctx context.Context, err error) string {
	e, ok := errors.AsType[*stead.Error](err)
	if !ok {
		s.log.ErrorContext(ctx, "run failed", "error", err)
		return "The platform failed to run it; try again.\r\n"
	}
	return sentence(e) + "\r\n"
}
