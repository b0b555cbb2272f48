package route

import "math/rand/v2"

// pick counts the request on the instance of the target that it should go to,
// and returns it; nil if none is left. Those in tried are left out.
func (c *conn) pick(t *target, tried []*backend) *backend {
	p := t.policy
	if p == nil {
		return pickOf(t.backends, 0, now(), tried)
	}
	at, limit := now(), int64(p.rule.Concurrency)
	var b *backend
	if p.sticky != nil {
		if b = c.stuck(p); b != nil {
			b = pickOf([]*backend{b}, limit, at, tried)
		}
	}
	if b == nil && len(p.shares) > 0 {
		if s := c.share(p); s != nil {
			b = pickOf(s.backends, limit, at, tried)
		}
		if b == nil {
			b = pickOf(p.any, limit, at, tried)
		}
	} else if b == nil {
		b = pickOf(t.backends, limit, at, tried)
	}
	if b != nil && p.sticky != nil {
		c.stick(p, b)
	}
	return b
}

// share draws the destination of the request; nil if it has none of its own.
func (c *conn) share(p *policy) *share {
	for i := range p.shares {
		if s := &p.shares[i]; s.pin != "" && c.pinned(s) {
			return s
		}
	}
	if p.weights == 0 {
		return nil
	}
	n := rand.IntN(p.weights)
	for i := range p.shares {
		if n -= p.shares[i].weight; n < 0 {
			return &p.shares[i]
		}
	}
	return nil
}

func (c *conn) pinned(s *share) (yes bool) {
	if s.cookie {
		c.req.cookies(s.pin, func(v []byte) bool {
			yes = string(v) == s.want
			return !yes
		})
		return yes
	}
	for i := range c.req.fields {
		f := &c.req.fields[i]
		yes = yes || len(f.name) == len(s.pin) && equalFold(f.name, s.pin) && string(f.value) == s.want
	}
	return yes
}

// pickOf chooses the less busy of two random backends, leaving out ejected ones
// and full ones (limit requests; 0: none is) while there are others.
func pickOf(set []*backend, limit, at int64, tried []*backend) *backend {
	n := len(set)
	if n == 0 {
		return nil
	}
	first := rand.IntN(n)
	best := set[first]
	if n > 1 {
		second := first + 1 + rand.IntN(n-1)
		if second >= n {
			second -= n
		}
		a, b := best.usable(limit, at, tried), set[second].usable(limit, at, tried)
		if !a || b && set[second].inflight.Load() < best.inflight.Load() {
			best = set[second]
		}
		if a || b {
			if best.acquire(limit) {
				return best
			}
		}
	} else if best.usable(limit, at, tried) && best.acquire(limit) {
		return best
	}
	for i := range n { // neither: look at each
		b := set[(first+i)%n]
		if b.usable(limit, at, tried) && b.acquire(limit) {
			return b
		}
	}
	return leastBad(set, limit, tried)
}

// leastBad is the choice when all are ejected: better a try than no answer.
func leastBad(set []*backend, limit int64, tried []*backend) (best *backend) {
	for _, b := range set {
		if b.retired.Load() || limit > 0 && b.inflight.Load() >= limit || contains(tried, b) {
			continue
		}
		if best == nil || b.ejected.Load() < best.ejected.Load() {
			best = b
		}
	}
	if best == nil || !best.acquire(limit) {
		return nil
	}
	return best
}

func contains(list []*backend, b *backend) bool {
	for _, x := range list {
		if x == b {
			return true
		}
	}
	return false
}
