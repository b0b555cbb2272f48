package heroku

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

// route is one method and path of the Platform API. A path's parameters are
// written {name}.
type route struct {
	Method, Path string
	Title        string // for docs/heroku.md
	do           func(*call) (any, error)
	open         bool   // needs no credentials, or takes its own
	none         bool   // answers truthfully that there is nothing of the kind
	why          string // for do == nil: why it is not offered
	extra        bool   // not of the published schema, but spoken by the CLI
}

// Offered reports whether the route does what Heroku's does.
func (r route) offered() bool { return r.do != nil && !r.none }

// absent is the stated refusal of a route that is not offered.
func (r route) absent() error {
	return &absentError{path: r.Method + " " + r.Path, why: r.why}
}

// routes returns the whole table, a group for each noun.
func routes() []route {
	return slices.Concat(accountRoutes(), keyRoutes(), oauthRoutes(), appRoutes(), configRoutes(), formationRoutes(), dynoRoutes(),
		logRoutes(), releaseRoutes(), buildRoutes(), domainRoutes(), certificateRoutes(), featureRoutes(), placeRoutes(), teamRoutes(), spaceRoutes(),
		collaboratorRoutes(), pipelineRoutes(), drainRoutes(), absentRoutes())
}

// table finds routes. A literal segment goes before a parameter, from left to right.
type table struct{ byMethod map[string][]compiled }

type compiled struct {
	route
	segments []string
}

func newTable(routes []route) *table {
	t := &table{byMethod: map[string][]compiled{}}
	for _, r := range routes {
		t.byMethod[r.Method] = append(t.byMethod[r.Method], compiled{r, strings.Split(r.Path, "/")[1:]})
	}
	for _, all := range t.byMethod {
		slices.SortStableFunc(all, func(a, b compiled) int { return slices.CompareFunc(a.segments, b.segments, literalFirst) })
	}
	return t
}

func literalFirst(a, b string) int {
	return cmp.Compare(rank(a), rank(b))
}

func rank(segment string) int {
	if parameter(segment) != "" {
		return 1
	}
	return 0
}

// parameter returns the name of a {name} segment, else "".
func parameter(segment string) string {
	name, ok := strings.CutPrefix(segment, "{")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(name, "}")
}

// find returns the route of a request and its parameters, each unescaped by
// itself, so that an escaped slash stays inside of its segment.
func (t *table) find(method, path string) (route, map[string]string, error) {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, c := range t.byMethod[method] {
		if params, ok := c.match(segments[1:]); ok {
			return c.route, params, nil
		}
	}
	return route{}, nil, &stead.Error{Kind: stead.KindNotFound, Msg: "The requested API endpoint was not found",
		Hint: "are you using the right HTTP verb (i.e. `GET` vs. `POST`)? docs/heroku.md lists what there is"}
}

func (c compiled) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(c.segments) {
		return nil, false
	}
	params := map[string]string{}
	for i, s := range segments {
		name := parameter(c.segments[i])
		if name == "" {
			if s != c.segments[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(s)
		if err != nil || v == "" {
			return nil, false
		}
		params[name] = v
	}
	return params, true
}
