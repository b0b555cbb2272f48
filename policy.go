package stead

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// RoutePolicy is how the router treats the requests of a route. The zero policy
// passes them on to the route's process with the router's own limits.
type RoutePolicy struct {
	Destinations []Destination `json:"destinations,omitempty"` // shares of the requests; empty: all go to the route's process
	Sticky       bool          `json:"sticky,omitempty"`       // a visitor stays on an instance, by a signed cookie
	Redirect     *Redirect     `json:"redirect,omitempty"`     // answered by the router, no process sees the request
	Allow        []string      `json:"allow,omitempty"`        // addresses or CIDR; none: everybody who is not denied
	Deny         []string      `json:"deny,omitempty"`         // addresses or CIDR; wins over Allow
	BasicAuth    []Credential  `json:"basic_auth,omitempty"`   // who may enter; none: everybody
	Rate         *Rate         `json:"rate,omitempty"`         // requests of one client
	FirstByte    Seconds       `json:"first_byte,omitempty"`   // until an answer begins; 0: the router's, 30 (H12)
	Idle         Seconds       `json:"idle,omitempty"`         // without a byte either way; 0: the router's, 55 (H15, H28)
	MaxBody      int64         `json:"max_body,omitempty"`     // bytes of a request's body; 0: no limit
	MaxHead      int           `json:"max_head,omitempty"`     // bytes of a request's head; 0: the router's, 32 KiB
	Concurrency  int           `json:"concurrency,omitempty"`  // requests at once on one instance; 0: no limit
	Queue        int           `json:"queue,omitempty"`        // requests that wait for their turn then, over all instances
	QueueTime    Seconds       `json:"queue_time,omitempty"`   // how long they wait; 0: 5 (H11)
	LogEvery     int           `json:"log_every,omitempty"`    // one access line for so many good requests; 0: each. Errors are always told
}

// Destination is a process that gets a share of a route's requests.
type Destination struct {
	Process string `json:"process"`
	Weight  int    `json:"weight"`        // its share of the sum of all weights; 0: only what is pinned to it
	Pin     string `json:"pin,omitempty"` // "header NAME=VALUE" or "cookie NAME=VALUE": requests with it always go here
}

// Redirect sends the client to another URL.
type Redirect struct {
	URL    string `json:"url"`              // {path} in it is what follows the route's path, with the query
	Status int    `json:"status,omitempty"` // 301, 302, 307 or 308; 0: 302
}

// Credential lets a person in by HTTP basic authentication. Its password is only
// ever written; an empty one keeps the password that User has.
type Credential struct {
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
}

// Rate limits the requests of one client by a token bucket.
type Rate struct {
	Requests int     `json:"requests"`        // in Per
	Per      Seconds `json:"per,omitempty"`   // 0: 1
	Burst    int     `json:"burst,omitempty"` // at once after a pause; 0: Requests
	By       string  `json:"by,omitempty"`    // "address" (an IPv6 /64 counts as one), or "header NAME"; "": address
}

// RoutePatch changes what is not nil. Policy replaces the whole policy.
type RoutePatch struct {
	Process     *string      `json:"process,omitempty"`
	StripPrefix *bool        `json:"strip_prefix,omitempty"`
	Policy      *RoutePolicy `json:"policy,omitempty"`
}

// Pages are what the router shows in place of its own pages: HTML, with
// {{code}} and {{request_id}} filled in.
type Pages struct {
	Maintenance string `json:"maintenance,omitempty"` // while the app is in maintenance (H80)
	Error       string `json:"error,omitempty"`       // for its other errors
}

// MaxPage is the size of a page, in bytes.
const MaxPage = 64 << 10

// Check refuses pages that are too large.
func (p Pages) Check() error {
	for name, page := range map[string]string{"maintenance": p.Maintenance, "error": p.Error} {
		if len(page) > MaxPage {
			return Invalid(name, "the page is larger than 64 KiB", "load images and styles from elsewhere")
		}
	}
	return nil
}

var (
	tokenGrammar  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
	cookieGrammar = regexp.MustCompile(`^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,256}$`)
)

// ParsePin takes a Destination's Pin apart; kind is "header" or "cookie".
func ParsePin(pin string) (kind, name, value string, err error) {
	kind, rest, _ := strings.Cut(pin, " ")
	name, value, ok := strings.Cut(rest, "=")
	if kind != "header" && kind != "cookie" || !ok || !tokenGrammar.MatchString(name) || !cookieGrammar.MatchString(value) {
		return "", "", "", Invalid("pin", quote(pin)+" is not a pin", `write "header NAME=VALUE" or "cookie NAME=VALUE"`)
	}
	return kind, name, value, nil
}

// ParseNets reads addresses and CIDR prefixes.
func ParseNets(field string, list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			a = a.Unmap()
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, Invalid(field, quote(s)+" is not an address or a network", "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Limits of a policy.
const (
	maxDestinations = 16
	maxNets         = 1000
	maxCredentials  = 100
	maxTimeOut      = 3600
	maxQueue        = 10_000
)

// Check refuses what a router cannot do.
func (p *RoutePolicy) Check() error {
	for _, check := range []func() error{p.checkDestinations, p.checkNets, p.checkCredentials, p.checkRate, p.checkNumbers} {
		if err := check(); err != nil {
			return err
		}
	}
	if p.Redirect != nil {
		return p.Redirect.check()
	}
	return nil
}

func (p *RoutePolicy) checkDestinations() error {
	sum := 0
	seen := map[string]bool{}
	for _, d := range p.Destinations {
		if err := CheckProcessType("destinations", d.Process); err != nil {
			return err
		}
		if d.Weight < 0 || d.Weight > 10_000 {
			return Invalid("destinations", "the weight of "+d.Process+" is not between 0 and 10000", "give shares such as web=90 canary=10")
		}
		if seen[d.Process] {
			return Invalid("destinations", d.Process+" is given twice", "give each process one weight")
		}
		seen[d.Process] = true
		sum += d.Weight
		if d.Pin != "" {
			if _, _, _, err := ParsePin(d.Pin); err != nil {
				return err
			}
		}
	}
	if len(p.Destinations) > maxDestinations {
		return Invalid("destinations", "a route has at most 16 destinations", "use fewer")
	}
	if len(p.Destinations) > 0 && sum == 0 {
		return Invalid("destinations", "no destination has a weight above 0", "give at least one a weight, such as web=100")
	}
	return nil
}

func (p *RoutePolicy) checkNets() error {
	if len(p.Allow)+len(p.Deny) > maxNets {
		return Invalid("allow", "a route has at most 1000 networks to allow and deny", "use larger networks")
	}
	if _, err := ParseNets("allow", p.Allow); err != nil {
		return err
	}
	_, err := ParseNets("deny", p.Deny)
	return err
}

func (p *RoutePolicy) checkCredentials() error {
	if len(p.BasicAuth) > maxCredentials {
		return Invalid("basic_auth", "a route has at most 100 credentials", "let the app itself log people in")
	}
	seen := map[string]bool{}
	for _, c := range p.BasicAuth {
		switch {
		case c.User == "" || len(c.User) > 100 || strings.ContainsFunc(c.User, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }):
			return Invalid("basic_auth", quote(c.User)+" cannot be a user's name", "use a short name without a colon")
		case seen[c.User]:
			return Invalid("basic_auth", "the user "+c.User+" is given twice", "give each user one password")
		case c.Password != "" && (len(c.Password) < 8 || len(c.Password) > 72):
			return Invalid("basic_auth", "the password of "+c.User+" is not between 8 and 72 bytes long", "choose another one")
		}
		seen[c.User] = true
	}
	return nil
}

func (p *RoutePolicy) checkRate() error {
	r := p.Rate
	if r == nil {
		return nil
	}
	if r.Requests < 1 || r.Requests > 1_000_000 || r.Per < 0 || r.Per > 86_400 || r.Burst < 0 || r.Burst > 1_000_000 {
		return Invalid("rate", "the rate is out of bounds", "give 1 to 1000000 requests in 1 to 86400 seconds")
	}
	if name, ok := strings.CutPrefix(r.By, "header "); r.By != "" && r.By != "address" && (!ok || !tokenGrammar.MatchString(name)) {
		return Invalid("rate", quote(r.By)+" is nothing that clients can be told apart by", `use "address" or "header NAME"`)
	}
	return nil
}

func (p *RoutePolicy) checkNumbers() error {
	for name, n := range map[string]Seconds{"first_byte": p.FirstByte, "idle": p.Idle, "queue_time": p.QueueTime} {
		if n < 0 || n > maxTimeOut {
			return Invalid(name, "the time-out is not between 1 and 3600 seconds", "leave it out for the router's own")
		}
	}
	switch {
	case p.MaxBody < 0:
		return Invalid("max_body", "the limit is negative", "give bytes, or 0 for no limit")
	case p.MaxHead != 0 && (p.MaxHead < 1<<10 || p.MaxHead > 32<<10):
		return Invalid("max_head", "the limit is not between 1024 and 32768 bytes", "leave it out for the router's own")
	case p.Concurrency < 0 || p.Concurrency > 100_000:
		return Invalid("concurrency", "the limit is not between 1 and 100000 requests", "leave it out for no limit")
	case p.Queue < 0 || p.Queue > maxQueue:
		return Invalid("queue", "the queue is not between 0 and 10000 requests long", "keep it short: who waits long leaves")
	case p.LogEvery < 0 || p.LogEvery > 1_000_000:
		return Invalid("log_every", "the sample is not between 1 and 1000000 requests", "leave it out for a line for each")
	}
	return nil
}

func (r *Redirect) check() error {
	if r.Status != 0 && !slices.Contains([]int{301, 302, 307, 308}, r.Status) {
		return Invalid("redirect", "the status of a redirect is 301, 302, 307 or 308", "use 302 if it may change, 301 if not, 307 or 308 to keep the method")
	}
	bad := Invalid("redirect", quote(r.URL)+" is not a URL to redirect to", "write https://www.example.com{path} or /new{path}; {path} stands for the rest of the path and the query")
	plain := strings.Replace(r.URL, "{path}", "", 1)
	u, err := url.Parse(plain)
	if err != nil || len(r.URL) > 2048 || strings.ContainsFunc(plain, func(c rune) bool { return c <= ' ' || c > 0x7e || strings.ContainsRune(`{}"<>\`, c) }) {
		return bad
	}
	if u.Scheme == "" { // on the same host: never //host, whatever the path is
		if len(plain) < 2 || plain[0] != '/' || plain[1] == '/' || u.Host != "" {
			return bad
		}
		return nil
	}
	before, _, _ := strings.Cut(r.URL, "{path}")
	head, err := url.Parse(before)
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || err != nil || head.Host != u.Host {
		return bad
	}
	return nil
}
