package converge

import (
	"maps"
	"slices"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// Share says which instances get a process's requests: by workload, up to an
// index. While one workload replaces another, both have a part.
type Share map[string]int

// only reports whether the workload alone gets requests.
func (s Share) only(id string) bool { return len(s) == 1 && s[id] > 0 }

// other is a workload of a process that another one replaces.
type other struct {
	id string
	up []int // indexes of what is up, in order
}

// upTo returns the index up to which it has n instances up, or all it has, and
// how many these are.
func (o other) upTo(n int) (index, instances int) {
	instances = min(n, len(o.up))
	if instances == 0 {
		return 0, 0
	}
	return o.up[instances-1], instances
}

// others returns the workloads that may serve process t until w does, the one
// with the most instances up first, and how many instances run besides w.
// What never served and is not of the live release is not among them: it never
// shall.
func (p *planner) others(t string, w engine.Workload) (out []other, instances int) {
	by := map[string]*other{}
	for _, st := range p.have.Statuses {
		id, ok := ParseIdent(st.Workload)
		if !ok || id.Process != t || st.Workload == w.ID || st.State == engine.StateStopping {
			continue
		}
		if st.State != engine.StateCrashed { // one that waits to be started again takes no room
			instances++
		}
		live := p.in.Live != nil && id.Release == p.in.Live.Version
		_, served := p.have.Serving[t][st.Workload]
		_, index := splitName(st.Name)
		if st.State != engine.StateUp || index > w.Replicas || !live && !served {
			continue
		}
		o := by[st.Workload]
		if o == nil {
			o = &other{id: st.Workload}
			by[o.id] = o
		}
		o.up = append(o.up, index) // the statuses are in the order of their names
	}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[id])
	}
	slices.SortStableFunc(out, func(a, b other) int { return len(b.up) - len(a.up) })
	return out, instances
}

// surge is how many instances may run above the process's quantity while they
// are replaced.
func (p *planner) surge(w engine.Workload) int {
	percent := processOf(p.in.Processes, w.Process).Surge
	return max(1, (w.Replicas*percent+99)/100)
}

// begun reports whether the first instances of w have come up, or have served
// already: only then may others make room for the rest. With nothing live, all
// of them are the first.
func (p *planner) begun(w engine.Workload) bool {
	if p.in.Live == nil {
		return p.up(w) >= w.Replicas
	}
	_, served := p.have.Serving[w.Process][w.ID]
	return served || p.up(w) >= min(w.Replicas, p.surge(w))
}

// up counts the wanted instances of w that are up.
func (p *planner) up(w engine.Workload) (n int) {
	for _, st := range p.have.Statuses {
		_, index := splitName(st.Name)
		if st.Workload == w.ID && st.State == engine.StateUp && index <= w.Replicas && p.settled(w, st) {
			n++
		}
	}
	return n
}

// replace moves the requests of process t to w as its instances come up, and
// the others out as they do: never fewer than the quantity serve, never more
// than surge above it run. Before the process has begun, the others serve
// alone. With last, those of the live release that are left when w serves alone
// stay: they are removed when the database knows what replaced them. It adds to keep
// what is not to be removed, and reports whether w serves alone, and whether
// it had nothing to do to w.
func (p *planner) replace(w engine.Workload, begun, last bool, keep map[string]bool) (whole, quiet bool) {
	others, running := p.others(w.Process, w)
	up, left, share := p.up(w), w.Replicas, Share{}
	if begun {
		left -= up
		if w.Replicas > 0 {
			share[w.ID] = w.Replicas
		}
	}
	for _, o := range others {
		limit, n := o.upTo(left)
		left -= n
		id, _ := ParseIdent(o.id)
		switch {
		case limit > 0:
			share[o.id], keep[o.id] = limit, true
			old := w
			old.ID, old.Replicas = o.id, limit // a known ID: only its replicas count
			p.lower(old)
		case last && begun && up >= w.Replicas && p.in.Live != nil && id.Release == p.in.Live.Version:
			keep[o.id] = true
		}
	}
	p.out.Serve[w.Process] = share
	quiet = p.scale(p.bounded(w, running))
	return begun && up >= w.Replicas && (w.Replicas == 0 || share.only(w.ID)), quiet
}

// bounded returns w with as many replicas as there is room for now, and no
// fewer than it has.
func (p *planner) bounded(w engine.Workload, others int) engine.Workload {
	if others == 0 {
		return w
	}
	room := w.Replicas + p.surge(w) - others
	for _, st := range p.have.Statuses {
		if _, index := splitName(st.Name); st.Workload == w.ID && st.State != engine.StateStopping {
			room = max(room, index)
		}
	}
	w.Replicas = min(w.Replicas, max(room, p.have.Applied[w.ID], 0))
	return w
}

// stay has the processes that the goal lacks go on as they are.
func (p *planner) stay(goal map[string]engine.Workload, keep map[string]bool) {
	for t, w := range workloads(p.in, p.in.Live, p.set.Sizes) {
		if _, ok := goal[t]; ok {
			continue
		}
		share := Share{}
		for _, st := range p.have.Statuses {
			if id, ok := ParseIdent(st.Workload); ok && id.Process == t && id.Release == w.Release {
				share[st.Workload], keep[st.Workload] = stead.MaxQuantity, true
			}
		}
		p.out.Serve[t] = share
	}
}
