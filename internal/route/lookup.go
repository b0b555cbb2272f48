package route

import (
	"fmt"
	"net"
	"strings"

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
}

// compile builds the lookup of t in time linear to its size. Each backend comes
// from get, which is called once for each that the table names.
func compile(t *Table, get func(Backend) *backend) (*lookup, error) {
	if len(t.Routes) > maxRoutes {
		return nil, stead.Invalid("routes", fmt.Sprintf("the table has %d routes, more than %d", len(t.Routes), maxRoutes), "remove unused routes")
	}
	l := &lookup{version: t.Version, exact: make(map[string]*site, len(t.Routes)), wild: map[string]*site{}, next: make(chan struct{})}
	total := 0
	for i := range t.Routes {
		r := &t.Routes[i]
		if total += len(r.Backends); total > maxBackends {
			return nil, stead.Invalid("routes", fmt.Sprintf("the table has more than %d backends", maxBackends), "scale down")
		}
		if err := l.add(r, get); err != nil {
			return nil, err
		}
	}
	l.rules = len(t.Routes)
	return l, nil
}

func (l *lookup) add(r *Rule, get func(Backend) *backend) error {
	hosts, host := l.exact, r.Host
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		hosts, host = l.wild, rest
	}
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
	t := &target{Rule: *r, backends: make([]*backend, 0, len(r.Backends))}
	t.Rule.Path, t.Rule.Backends = path, nil
	for _, b := range r.Backends {
		t.backends = append(t.backends, get(b))
	}
	s.paths[path] = t
	s.depth = max(s.depth, strings.Count(path, "/"))
	return nil
}

func checkRule(host, path string, r *Rule) error {
	if host == "" || len(host) > 253 || host != strings.ToLower(host) || strings.ContainsAny(host, "*:/ \r\n\t\x00") {
		return stead.Invalid("host", fmt.Sprintf("%q is not a host that can be routed", r.Host), "use a lower-case name without port, or *.name")
	}
	if path != "" && path[0] != '/' || len(path) > 1024 || strings.Count(path, "/") > maxDepth || strings.ContainsAny(path, "?# \r\n\t\x00") {
		return stead.Invalid("path", fmt.Sprintf("%q is not a path that can be routed", r.Path), "start with / and leave out ? and #")
	}
	for _, b := range r.Backends {
		if _, _, err := net.SplitHostPort(b.Address); err != nil || b.Instance == "" {
			return stead.Invalid("backends", fmt.Sprintf("backend %q of %s has no usable address", b.Name, r.Host), "give an instance and host:port")
		}
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
