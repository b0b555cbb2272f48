package logs

import (
	"cmp"
	"slices"
)

// maxOrigins bounds how many origins a stream remembers; beyond it, those that
// wrote longest ago are forgotten.
const maxOrigins = 4096

type originPos struct {
	origin string
	pos    int64
}

// positions holds the largest Pos of each origin.
type positions struct {
	at    map[string]positionAt
	clock int64
}

type positionAt struct{ pos, used int64 }

func (p *positions) note(origin string, pos int64) {
	if origin == "" || pos == 0 {
		return
	}
	if p.at == nil {
		p.at = map[string]positionAt{}
	}
	p.clock++
	p.at[origin] = positionAt{max(pos, p.at[origin].pos), p.clock}
	if len(p.at) > maxOrigins+maxOrigins/4 {
		p.forget()
	}
}

func (p *positions) get(origin string) int64 { return p.at[origin].pos }

// list returns the positions, the one that was used longest ago first.
func (p *positions) list() []originPos {
	out := make([]originPos, 0, len(p.at))
	for o, a := range p.at {
		out = append(out, originPos{o, a.pos})
	}
	slices.SortFunc(out, func(a, b originPos) int { return cmp.Compare(p.at[a.origin].used, p.at[b.origin].used) })
	return out
}

func (p *positions) forget() {
	old := p.list()
	for _, o := range old[:len(old)-maxOrigins] {
		delete(p.at, o.origin)
	}
}
