package route

import (
	"sync"
	"time"
)

// gate lets requests wait for their turn when every instance of a rule has as
// many as it may have at once. The first to come is the first to go on.
type gate struct {
	mu    sync.Mutex
	queue []chan struct{} // closed when its request may try
}

// gate returns the gate of a process, which all its rules share.
func (l *lookup) gate(k gateKey, prev *lookup) *gate {
	g := l.gates[k]
	if g == nil {
		if g = prev.gates[k]; g == nil {
			g = &gate{}
		}
		l.gates[k] = g
	}
	return g
}

// join takes a place in the queue; nil when it is full.
func (g *gate) join(limit int, first bool) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) >= limit && !first {
		return nil
	}
	turn := make(chan struct{})
	if first { // had its turn, but another was faster
		g.queue = append([]chan struct{}{turn}, g.queue...)
	} else {
		g.queue = append(g.queue, turn)
	}
	return turn
}

// leave gives a place up, and its turn to the next if it had it already.
func (g *gate) leave(turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, t := range g.queue {
		if t == turn {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return
		}
	}
	g.wakeFirst()
}

// freed tells the first in the queue that an instance has room.
func (g *gate) freed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wakeFirst()
}

func (g *gate) wakeFirst() {
	if len(g.queue) > 0 {
		close(g.queue[0])
		g.queue = g.queue[1:]
	}
}

// wait waits in the queue of the rule; nil when the request may try again.
func (c *conn) wait(l *lookup, p *policy, again bool) *fault {
	left := time.Duration(c.x.start + int64(p.queueTime()) - now())
	turn := p.gate.join(p.rule.Queue, again)
	if turn == nil || left <= 0 {
		if turn != nil {
			p.gate.leave(turn)
		}
		return &faultBacklog
	}
	c.enter(phaseHold)
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-turn:
		return nil
	case <-l.next: // perhaps there are more instances now
		p.gate.leave(turn)
		return nil
	case <-t.C:
	case <-c.core.stopped:
	}
	p.gate.leave(turn)
	return &faultBacklog
}

// full reports whether an instance of the target is full rather than missing.
func (t *target) full(limit int64) bool {
	for _, b := range t.backends {
		if !b.retired.Load() && b.inflight.Load() >= limit {
			return true
		}
	}
	return false
}
