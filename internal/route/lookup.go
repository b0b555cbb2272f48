package route

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/steadpaas/stead"
)

// Limits on a table. A table beyond them is refused whole.
const (
	maxRoutes   = 200_000
	maxBackends = 400_000
	maxDepth    = 64 // segments of a rule's path
)

// lookup is a table compiled for serving. It is never changed.
type lookup struct {
	version int64
	exact   map[string]*site // by host
	wild    map[string]*site // by what follows "*."
	next    chan struct{}    // closed when a later table is served
	rules   int

	pages  map[stead.ID]stead.Pages
	seen   map[stead.ID]*atomic.Int64 // of apps that may sleep: their last request
	gates  map[gateKey]*gate
	key    []byte // of sticky sessions
	limits Limits // the router's
}

type gateKey struct {
	app     stead.ID
	process string
}

// site is what a host serves: targets by path prefix, without trailing slash.
type site struct {
	paths map[string]*target
	depth int // segments of the longest prefix
}

// target is a rule with its backends.
type target struct {
	Rule
	backends []*backend
	policy   *policy       // nil: pass on
	pages    *stead.Pages  // nil: none of the app's own
	seen     *atomic.Int64 // when a request came last; nil: nobody asks
}

// compile builds the lookup of t in time linear to its size. What the rules of
// prev have counted goes on. Each backend comes from get, which is called once
// for each that the table names.
func compile(t *Table, prev *lookup, get func(Backend) *backend) (*lookup, error) {
	if len(t.Routes) > maxRoutes {
		return nil, stead.Invalid("routes", fmt.Sprintf("the table has %d routes, more than %d", len(t.Routes), maxRoutes), "remove unused routes")
	}
	l := &lookup{version: t.Version, exact: make(map[string]*site, len(t.Routes)), wild: map[string]*site{}, next: make(chan struct{}),
		pages: t.Pages, seen: map[stead.ID]*atomic.Int64{}, gates: map[gateKey]*gate{}, key: prev.key, limits: prev.limits}
	total := 0
	for i := range t.Routes {
		r := &t.Routes[i]
		if total += r.size(); total > maxBackends {
			return nil, stead.Invalid("routes", fmt.Sprintf("the table has more than %d backends", maxBackends), "scale down")
		}
		if err := l.add(r, prev, get); err != nil {
			return nil, err
		}
	}
	l.rules = len(t.Routes)
	return l, nil
}

func (r *Rule) size() int {
	n := len(r.Backends)
	for i := range r.Destinations {
		n += len(r.Destinations[i].Backends)
	}
	return n
}

// hosts returns where the rules of a host are, and under which name.
func (l *lookup) hosts(host string) (map[string]*site, string) {
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		return l.wild, rest
	}
	return l.exact, host
}

// rule returns the target of a rule's host and path; nil if there is none.
func (l *lookup) rule(host, path string) *target {
	hosts, name := l.hosts(host)
	if s := hosts[name]; s != nil {
		return s.paths[path]
	}
	return nil
}

// each calls f with all targets.
func (l *lookup) each(f func(*target)) {
	for _, hosts := range []map[string]*site{l.exact, l.wild} {
		for _, s := range hosts {
			for _, t := range s.paths {
				f(t)
			}
		}
	}
}

func (l *lookup) add(r *Rule, prev *lookup, get func(Backend) *backend) error {
	hosts, host := l.hosts(r.Host)
	path := strings.TrimRight(r.Path, "/")
	if err := checkRule(host, path, r); err != nil {
		return err
	}
	s := hosts[host]
	if s == nil {
		s = &site{paths: make(map[string]*target, 1)}
		hosts[host] = s
	}
	if _, twice := s.paths[path]; twice {
		return stead.Invalid("routes", "two routes for "+r.Host+r.Path, "keep one of them")
	}
	t := &target{Rule: *r, backends: make([]*backend, 0, r.size())}
	t.Rule.Path = path
	for _, b := range r.Backends {
		t.backends = append(t.backends, get(b))
	}
	t.Rule.Backends, t.Rule.Destinations, t.Rule.Policy, t.Rule.Passwords = nil, nil, nil, nil
	if err := l.extras(r, t, prev, get); err != nil {
		return err
	}
	s.paths[path] = t
	s.depth = max(s.depth, strings.Count(path, "/"))
	return nil
}

// extras adds what most rules do without.
func (l *lookup) extras(r *Rule, t *target, prev *lookup, get func(Backend) *backend) error {
	if p, ok := l.pages[r.App]; ok {
		t.pages = &p
	}
	if r.Wake {
		if l.seen[r.App] == nil {
			if l.seen[r.App] = prev.seen[r.App]; l.seen[r.App] == nil {
				l.seen[r.App] = new(atomic.Int64)
			}
		}
		t.seen = l.seen[r.App]
	}
	if !r.hasPolicy() {
		return nil
	}
	var last *policy
	if was := prev.rule(r.Host, t.Path); was != nil && was.App == r.App {
		last = was.policy
	}
	return l.compilePolicy(r, t, prev, last, get)
}

func checkRule(host, path string, r *Rule) error {
	if host == "" || len(host) > 253 || host != strings.ToLower(host) || strings.ContainsAny(host, "*:/ \r\n\t\x00") {
		return stead.Invalid("host", fmt.Sprintf("%q is not a host that can be routed", r.Host), "use a lower-case name without port, or *.name")
	}
	if path != "" && path[0] != '/' || len(path) > 1024 || strings.Count(path, "/") > maxDepth || strings.ContainsAny(path, "?# \r\n\t\x00") {
		return stead.Invalid("path", fmt.Sprintf("%q is not a path that can be routed", r.Path), "start with / and leave out ? and #")
	}
	for _, b := range r.Backends {
		if err := checkBackend(r.Host, b); err != nil {
			return err
		}
	}
	return nil
}

func checkBackend(host string, b Backend) error {
	if _, _, err := net.SplitHostPort(b.Address); err != nil || b.Instance == "" {
		return stead.Invalid("backends", fmt.Sprintf("backend %q of %s has no usable address", b.Name, host), "give an instance and host:port")
	}
	return nil
}

// find returns the target for a lower-case host without port and a raw path;
// nil if no rule fits. Prefixes are compared as they are sent, without decoding.
func (l *lookup) find(host, path []byte) *target {
	if s := l.exact[string(host)]; s != nil {
		if t := s.find(path); t != nil {
			return t
		}
	}
	for i, b := range host {
		if b == '.' {
			if s := l.wild[string(host[i+1:])]; s != nil && i > 0 {
				return s.find(path)
			}
			return nil
		}
	}
	return nil
}

func (s *site) find(path []byte) *target {
	var cuts [maxDepth + 2]int
	n := 0
	for i := 1; i <= len(path) && n <= s.depth; i++ {
		if i == len(path) || path[i] == '/' {
			cuts[n] = i
			n++
		}
	}
	for n--; n >= 0; n-- {
		if t := s.paths[string(path[:cuts[n]])]; t != nil {
			return t
		}
	}
	return s.paths[""]
}
