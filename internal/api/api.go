// Package api serves the v1 API: the platform's use-cases over HTTP, a file per
// noun, described by the OpenAPI 3.1 document at /openapi.json.
//
// It translates and decides nothing: who may do what is the platform's choice.
// Errors are RFC 9457 problems (see problem.go for the kinds' statuses); long
// lists are paged by cursor; lines and events are server-sent events that can
// be resumed by Last-Event-ID; a command's streams are frames (package
// client/frames) on an upgraded HTTP/1.1 connection.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/steadpaas/stead/internal/platform"
)

// Config is what the API is made of.
type Config struct {
	Platform  *platform.Platform
	Logger    *slog.Logger
	Version   string        // of the platform, as people know it
	MaxSource int64         // bytes of an uploaded archive; 0: platform.MaxSource
	Heartbeat time.Duration // between signs of life on a quiet stream; 0: 15 s
}

// server holds what the handlers share.
type server struct {
	p         *platform.Platform
	log       *slog.Logger
	version   string
	maxSource int64
	heartbeat time.Duration
	api       huma.API
	replays   *replays
	configs   stripes
	ready     readiness
}

// New returns the handler of /v1, /openapi.json, /healthz and /readyz. Streams
// end with their request's context: cancel the server's base context before a
// graceful shutdown.
func New(c Config) http.Handler {
	s, mux := build(c)
	return s.outer(mux)
}

func build(c Config) (*server, *http.ServeMux) {
	s := &server{p: c.Platform, log: c.Logger, version: c.Version, maxSource: c.MaxSource,
		heartbeat: c.Heartbeat, replays: newReplays(maxReplays, replayTime)}
	if s.maxSource <= 0 {
		s.maxSource = platform.MaxSource
	}
	if s.heartbeat <= 0 {
		s.heartbeat = 15 * time.Second
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.describe())
	s.api.UseMiddleware(s.authenticate, s.replay)
	for _, register := range []func(*server){people, credentials, orgs, pipelines, apps, collaborators, config, processes, domains, routes, certificates, drains,
		builds, releases, output, tasks, schedules, events, status} {
		register(s)
	}
	s.finishDocument()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return s, mux
}

// describe returns the frame of the OpenAPI document.
func (s *server) describe() huma.Config {
	c := huma.DefaultConfig("Stead", "1")
	c.Info.Description = "The v1 API of a Stead platform. An {app} is an ID, a name, or a path such as org/space/name with its slashes escaped as %2F."
	c.CreateHooks, c.DocsPath, c.SchemasPath = nil, "", ""
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{s.transform}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token's secret, from POST /v1/login or POST /v1/tokens."},
	}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// open marks an operation that needs no token.
func open(o *huma.Operation) { o.Security = []map[string][]string{} }

func isOpen(o *huma.Operation) bool { return o.Security != nil && len(o.Security) == 0 }

// op describes an operation. The id is the name of the client's method.
func op(id, method, path, summary string, more ...func(*huma.Operation)) huma.Operation {
	o := huma.Operation{OperationID: id, Method: method, Path: "/v1/" + path, Summary: summary, MaxBodyBytes: maxBody}
	if method == http.MethodPost {
		o.DefaultStatus = http.StatusCreated
	}
	for _, m := range more {
		m(&o)
	}
	return o
}

// done sets the status of a success.
func done(code int) func(*huma.Operation) {
	return func(o *huma.Operation) { o.DefaultStatus = code }
}

// answer is an answer with a body.
type answer[T any] struct{ Body T }

// handle registers an operation whose answer is a T.
func handle[I, T any](s *server, o huma.Operation, h func(context.Context, *I) (T, error)) {
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*answer[T], error) {
		v, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &answer[T]{v}, nil
	})
}

// act registers an operation without an answer: 204.
func act[I any](s *server, o huma.Operation, h func(context.Context, *I) error) {
	o.DefaultStatus = http.StatusNoContent
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*struct{}, error) {
		if err := h(ctx, in); err != nil {
			return nil, s.problem(ctx, err)
		}
		return nil, nil
	})
}

// list is a page of a list.
type list[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

// handleList registers an operation that lists everything at once.
func handleList[I, T any](s *server, o huma.Operation, h func(context.Context, *I) ([]T, error)) {
	handle(s, o, func(ctx context.Context, in *I) (list[T], error) {
		all, err := h(ctx, in)
		if all == nil {
			all = []T{}
		}
		return list[T]{Items: all}, err
	})
}

// none is the input of an operation that has none.
type none struct{}
