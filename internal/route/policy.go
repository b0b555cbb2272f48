package route

import (
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/steadpaas/stead"
)

// policy is a rule's policy, compiled for serving. Rules without one have nil.
type policy struct {
	rule     stead.RoutePolicy
	allow    []netip.Prefix
	deny     []netip.Prefix
	auth     *basicAuth
	redirect *stead.Redirect
	rate     *limiter
	gate     *gate
	limits   *Limits // nil: the router's
	shares   []share
	weights  int
	any      []*backend          // of the shares with a weight: better another version than no answer
	sticky   map[string]*backend // by what the cookie says
	prefix   string              // of the cookie's path
	good     atomic.Uint64       // answers without a fault, for LogEvery
}

// share is a destination with its backends.
type share struct {
	name      string
	weight    int
	cookie    bool // the pin is a cookie's value, else a field's
	pin, want string
	backends  []*backend
}

// hasPolicy reports whether the rule asks for more than to be passed on.
func (r *Rule) hasPolicy() bool { return r.Policy != nil || len(r.Destinations) > 0 }

// compilePolicy makes the policy of a rule; what it counts goes on from last,
// which may be nil.
func (l *lookup) compilePolicy(r *Rule, t *target, prev *lookup, last *policy, get func(Backend) *backend) (err error) {
	p := &policy{prefix: r.Path}
	if r.Policy != nil {
		p.rule = *r.Policy
	}
	if err := p.rule.Check(); err != nil {
		return err
	}
	if p.allow, err = stead.ParseNets("allow", p.rule.Allow); err != nil {
		return err
	}
	if p.deny, err = stead.ParseNets("deny", p.rule.Deny); err != nil {
		return err
	}
	if p.redirect = p.rule.Redirect; p.redirect != nil && p.redirect.Status == 0 {
		p.redirect = &stead.Redirect{URL: p.redirect.URL, Status: 302}
	}
	p.inherit(r, last)
	p.limits = l.limitsOf(p.rule)
	if err := p.addShares(r, t, get); err != nil {
		return err
	}
	if p.rule.Concurrency > 0 {
		p.gate = l.gate(gateKey{r.App, r.Process}, prev)
		for _, b := range t.backends {
			b.gate.Store(p.gate)
		}
	}
	if p.rule.Sticky {
		p.sticky = make(map[string]*backend, len(t.backends))
		for _, b := range t.backends {
			p.sticky[b.token(l.key)] = b
		}
	}
	t.policy = p
	return nil
}

// inherit takes over what the last table's policy has counted.
func (p *policy) inherit(r *Rule, last *policy) {
	if last == nil {
		last = &policy{}
	}
	if rate := p.rule.Rate; rate != nil {
		if p.rate = last.rate; p.rate == nil || *last.rule.Rate != *rate {
			p.rate = newLimiter(*rate)
		}
	}
	if len(p.rule.BasicAuth) > 0 || len(r.Passwords) > 0 {
		if p.auth = last.auth; p.auth == nil || !maps.Equal(p.auth.hashes, r.Passwords) {
			p.auth = newBasicAuth(r.Passwords)
		}
	}
}

func (p *policy) addShares(r *Rule, t *target, get func(Backend) *backend) error {
	for _, d := range r.Destinations {
		s := share{name: d.Process, weight: max(d.Weight, 0)}
		if d.Pin != "" {
			kind, name, value, err := stead.ParsePin(d.Pin)
			if err != nil {
				return err
			}
			s.cookie, s.pin, s.want = kind == "cookie", name, value
		}
		for _, b := range d.Backends {
			if err := checkBackend(r.Host, b); err != nil {
				return err
			}
			s.backends = append(s.backends, get(b))
		}
		p.weights += s.weight
		p.shares = append(p.shares, s)
		t.backends = append(t.backends, s.backends...)
		if s.weight > 0 {
			p.any = append(p.any, s.backends...)
		}
	}
	return nil
}

// limitsOf returns the router's limits with the policy's own; nil if it has none.
func (l *lookup) limitsOf(p stead.RoutePolicy) *Limits {
	if p.FirstByte == 0 && p.Idle == 0 {
		return nil
	}
	own := l.limits
	if p.FirstByte > 0 {
		own.FirstByte = p.FirstByte.Duration()
	}
	if p.Idle > 0 {
		own.Stream = p.Idle.Duration()
	}
	return &own
}

// queueTime is how long a request waits for its turn.
func (p *policy) queueTime() time.Duration {
	if p.rule.QueueTime > 0 {
		return p.rule.QueueTime.Duration()
	}
	return 5 * time.Second
}

// admit decides whether a request may go on to an instance.
func (c *conn) admit(p *policy) *fault {
	if len(p.allow)+len(p.deny) > 0 && !p.lets(c.client()) {
		return &faultForbidden
	}
	if p.rule.MaxHead > 0 && c.headLen > p.rule.MaxHead {
		return &faultHeadLimit
	}
	if n := p.rule.MaxBody; n > 0 {
		if c.x.max = n; c.req.length > n {
			return &faultTooLarge
		}
	}
	if p.rate != nil {
		if wait := p.rate.take(c.rateKey(p.rate), now()); wait > 0 {
			return limited(wait)
		}
	}
	if p.auth != nil && !p.auth.admits(c.req.only("authorization")) {
		return &faultLogin
	}
	if p.redirect != nil {
		return c.redirect(p.redirect)
	}
	if p.limits != nil {
		c.limits.Store(p.limits)
	}
	return nil
}

func (p *policy) lets(a netip.Addr) bool {
	in := func(n netip.Prefix) bool { return n.Contains(a) }
	if slices.ContainsFunc(p.deny, in) {
		return false
	}
	return len(p.allow) == 0 || slices.ContainsFunc(p.allow, in)
}

// only returns the value of the only field of that lower-case name; nil if
// there is none or several.
func (h *head) only(name string) (v []byte) {
	for i := range h.fields {
		if f := &h.fields[i]; f.id == fieldOther && equalFold(f.name, name) {
			if v != nil {
				return nil
			}
			v = f.value
		}
	}
	return v
}
