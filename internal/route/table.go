// Package route is the data plane: an immutable table of routes, and the proxy
// that serves by it. It runs in a process of its own (steadd router) and is fed
// over a socket by the control plane, which may die and return without a
// request noticing.
package route

import (
	"github.com/steadpaas/stead"
)

// Table says which request goes where. It is built once and never changed.
type Table struct {
	Version int64  `json:"version"` // grows with each table the control plane makes
	Routes  []Rule `json:"routes"`
	// Pages are the apps' own pages.
	Pages map[stead.ID]stead.Pages `json:"pages,omitempty"`
}

// Rule sends requests for a host, below a path, to backends of one process.
type Rule struct {
	Host        string    `json:"host"` // lower case, no port; "*.example.com" matches one label
	Path        string    `json:"path"` // prefix of whole segments; "/" for all; the longest wins
	StripPrefix bool      `json:"strip_prefix,omitempty"`
	App         stead.ID  `json:"app"`
	AppName     string    `json:"app_name"`
	LogStream   string    `json:"log_stream"`
	Process     string    `json:"process"`
	Maintenance bool      `json:"maintenance,omitempty"` // answer 503 H80
	Released    bool      `json:"released"`              // false: the app has no release yet: 503 H81
	Quantity    int       `json:"quantity"`              // wanted instances; 0: 503 H14, more with no backend: H10 or H20
	Crashed     bool      `json:"crashed,omitempty"`     // no backend because all crashed: H10
	Backends    []Backend `json:"backends"`
	Wake        bool      `json:"wake,omitempty"` // with no backend, hold requests and say that the app is wanted

	Policy       *stead.RoutePolicy `json:"policy,omitempty"`       // nil: pass on
	Passwords    map[string]string  `json:"passwords,omitempty"`    // bcrypt, by user, for Policy.BasicAuth
	Destinations []Destination      `json:"destinations,omitempty"` // in place of Backends
}

// Destination is a share of a rule's requests with its instances.
type Destination struct {
	Process  string    `json:"process"`
	Weight   int       `json:"weight"`
	Pin      string    `json:"pin,omitempty"`
	Backends []Backend `json:"backends"`
}

// Backend is one instance that may be given requests.
type Backend struct {
	Instance string `json:"instance"` // unique; connections are pooled by it, never by address
	Name     string `json:"name"`     // "web.2"
	Address  string `json:"address"`  // host:port
}
