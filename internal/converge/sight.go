package converge

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead/internal/engine"
)

// sight is what the engines were last seen to run.
type sight struct {
	mu      sync.Mutex
	regions map[string]map[string]engine.Status // region → instance → status; only regions seen whole once
	changed func()
}

func newSight(changed func()) *sight {
	return &sight{regions: map[string]map[string]engine.Status{}, changed: changed}
}

// region returns the statuses of a region, ordered by name, and whether its
// engine has told all it has at least once.
func (s *sight) region(name string) ([]engine.Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.regions[name]
	out := make([]engine.Status, 0, len(m))
	for _, st := range m {
		out = append(out, st)
	}
	slices.SortFunc(out, byName)
	return out, ok
}

func byName(a, b engine.Status) int {
	pa, ia := splitName(a.Name)
	pb, ib := splitName(b.Name)
	if c := strings.Compare(pa, pb); c != 0 {
		return c
	}
	if ia != ib {
		return ia - ib
	}
	return strings.Compare(a.Instance, b.Instance)
}

func (s *sight) replace(region string, all map[string]engine.Status) {
	s.mu.Lock()
	s.regions[region] = all
	s.mu.Unlock()
	s.changed()
}

func (s *sight) set(region string, st engine.Status) {
	s.mu.Lock()
	note(s.regions[region], st)
	s.mu.Unlock()
	s.changed()
}

func note(m map[string]engine.Status, st engine.Status) {
	if st.State == engine.StateGone {
		delete(m, st.Instance)
		return
	}
	m[st.Instance] = st
}

// watch keeps the sight of one region, and watches anew when the engine ends it.
func (l *Loops) watch(ctx context.Context, region string, e engine.Engine) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		synced, err := l.watchOnce(ctx, region, e)
		if ctx.Err() != nil {
			return nil
		}
		if synced {
			wait = 100 * time.Millisecond
		}
		l.log.Warn("engine watch ended", "region", region, "err", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

func (l *Loops) watchOnce(ctx context.Context, region string, e engine.Engine) (synced bool, err error) {
	snapshot := map[string]engine.Status{}
	for st, err := range e.Watch(ctx) {
		switch {
		case err != nil:
			return synced, err
		case st.Synced:
			synced = true
			l.seen.replace(region, snapshot)
		case synced:
			l.seen.set(region, st)
		default:
			note(snapshot, st)
		}
	}
	return synced, nil
}
