package route

import "time"

// choose sets x.t and x.b, waiting for an instance that is about to come, to
// wake, or to have room.
func (c *conn) choose(tried []*backend) *fault {
	x := &c.x
	until, queued := x.start+int64(c.core.limits.Boot), false
	for {
		l := c.core.table.Load()
		if f := c.aim(l); f != nil {
			if f != &faultUnknown || l.version > 0 || !c.hold(l, until) {
				return f
			}
			continue // there was no table at all yet
		}
		if x.b = c.pick(x.t, tried); x.b != nil {
			return nil
		}
		if p := x.t.policy; p != nil && p.gate != nil && x.t.full(int64(p.rule.Concurrency)) {
			if f := c.wait(l, p, queued); f != nil {
				return f
			}
			queued = true
			continue
		}
		if x.t.Wake && len(x.t.backends) == 0 && !x.t.Crashed {
			if until = x.start + int64(c.core.limits.Wake); !c.await(l, until) {
				return &faultBoot
			}
			continue
		}
		if len(tried) > 0 && len(tried) >= len(x.t.backends) || x.t.Quantity == 0 || x.t.Crashed {
			return x.t.none()
		}
		if len(tried) > 0 || !c.hold(l, until) {
			return x.t.none()
		}
	}
}

// aim finds the rule for the request and asks whether it lets the request in.
// A rule that did so is not asked again, unless a later table has another.
func (c *conn) aim(l *lookup) *fault {
	t := l.find(c.host, c.req.path)
	if t == nil {
		c.x.t = nil
		return &faultUnknown
	}
	if t == c.x.t {
		return nil
	}
	c.x.t = t
	if t.seen != nil {
		t.seen.Store(c.x.start)
	}
	if t.policy != nil {
		if f := c.admit(t.policy); f != nil {
			return f
		}
	}
	return c.core.closed(t)
}

// await holds a request whose app sleeps, and says that the app is wanted.
func (c *conn) await(l *lookup, until int64) bool {
	app := c.x.t.App
	if !c.core.wants.enter(app, c.x.start) {
		return false
	}
	defer c.core.wants.leave(app)
	return c.hold(l, until)
}

// hold waits for the next table.
func (c *conn) hold(l *lookup, until int64) bool {
	left := until - now()
	if left <= 0 || c.core.holding.Add(1) > maxHolding {
		c.core.holding.Add(-1)
		return false
	}
	defer c.core.holding.Add(-1)
	c.enter(phaseHold)
	t := time.NewTimer(time.Duration(left))
	defer t.Stop()
	select {
	case <-l.next:
		return true
	case <-t.C:
		return false
	case <-c.core.stopped:
		return false
	}
}
