// Package heroku speaks Heroku's Platform API (version 3) over the same
// use-cases as v1, so that Heroku's own clients work unmodified: the heroku CLI,
// heroku-go, the Terraform provider.
//
// It translates words and decides nothing. An Org is a team, a Space a space, a
// Process a formation, an Instance a dyno, an Image a slug, a Token an OAuth
// authorization. The org "default" is nobody's team: its apps are shown as the
// caller's own. What Stead has no word for is answered with a stated refusal;
// docs/heroku.md, made from the table of routes, lists which.
//
// Source: the published schema of the Platform API, as heroku-go v6.1.0 carries
// it, and https://devcenter.heroku.com/articles/platform-api-reference.
package heroku

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
	"github.com/steadpaas/stead/internal/platform"
)

// Prefix is where the API stands on the platform's listener.
const Prefix = "/heroku"

// Headers by which an endpoint on the caller's own machine (stead heroku) says
// how the caller reaches it; the URLs of answers are made for that.
const (
	HeaderEndpoint   = "Stead-Endpoint"   // http://127.0.0.1:41234, which stands for the API's own URL
	HeaderRendezvous = "Stead-Rendezvous" // host:port for rendezvous:// URLs
)

// Config is what a handler is made of.
type Config struct {
	Platform *platform.Platform
	URL      string // of the API as people reach it, without Prefix
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
}

type server struct {
	p       *platform.Platform
	url     string
	log     *slog.Logger
	now     func() time.Time
	table   *table
	tickets *tickets
	rates   *rates
}

// New returns the handler of everything below Prefix.
func New(c Config) http.Handler {
	s := &server{p: c.Platform, url: strings.TrimRight(c.URL, "/"), log: c.Logger, now: c.Now, table: newTable(routes())}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.tickets, s.rates = newTickets(s.now), newRates(s.now)
	return s
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := string(stead.NewID(s.now()))
	w.Header().Set("Request-Id", id)
	ctx := stead.WithRequestID(r.Context(), id)
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		ctx = auth.WithRemote(ctx, host)
	}
	r = r.WithContext(ctx)
	path := strings.TrimPrefix(r.URL.EscapedPath(), Prefix)
	if s.open(w, r, path) {
		return
	}
	c := &call{server: s, w: w, r: r, ctx: ctx, status: http.StatusOK}
	c.base, c.rendezvous = s.reached(r)
	route, params, err := s.table.find(r.Method, path)
	if err == nil {
		c.params = params
		err = c.enter(route)
	}
	if err != nil {
		c.fail(err)
		return
	}
	out, err := route.do(c)
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(out)
}

// reached returns the base of URLs for this caller, and where it meets what it
// runs ("": by an upgrade at base).
func (s *server) reached(r *http.Request) (base, rendezvous string) {
	if at := r.Header.Get(HeaderEndpoint); at != "" {
		return strings.TrimRight(at, "/"), r.Header.Get(HeaderRendezvous)
	}
	return s.url + Prefix, ""
}

// call is one request on its way.
type call struct {
	*server
	w          http.ResponseWriter
	r          *http.Request
	ctx        context.Context
	params     map[string]string
	status     int
	base       string
	rendezvous string
	actor      stead.Actor
}

// app is the reference of the app that the path names.
func (c *call) app() string { return c.params["app"] }

// enter finds out who calls and counts the call.
func (c *call) enter(r route) error {
	if r.open {
		return nil
	}
	actor, err := c.authenticate()
	if err != nil {
		return err
	}
	c.actor = actor
	c.ctx = stead.WithActor(c.ctx, actor)
	left, err := c.rates.take(actor.UserID)
	c.w.Header().Set("RateLimit-Remaining", itoa(left))
	if err != nil {
		return err
	}
	if r.do == nil {
		return r.absent()
	}
	return nil
}

// authenticate takes a token as Bearer, or as the password of Basic, as Heroku
// does.
func (c *call) authenticate() (stead.Actor, error) {
	secret, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if _, password, basic := c.r.BasicAuth(); basic {
		secret, ok = password, true
	}
	if !ok || secret == "" {
		return stead.Actor{}, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "There were no credentials in your `Authorization` header",
			Hint: "try `Authorization: Bearer <token>`"}
	}
	return c.p.Authenticate(c.ctx, strings.TrimSpace(secret))
}
