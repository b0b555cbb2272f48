package heroku

import (
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// callsPerHour is how many calls a user may make, as at Heroku; they come back
// evenly.
const callsPerHour = 4500

// rates counts calls by user.
type rates struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[stead.ID]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

func newRates(now func() time.Time) *rates { return &rates{now: now, by: map[stead.ID]*bucket{}} }

func (b *bucket) fill(now time.Time) {
	b.left = min(callsPerHour, b.left+now.Sub(b.at).Hours()*callsPerHour)
	b.at = now
}

// take counts a call and returns how many are left.
func (r *rates) take(user stead.ID) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	b := r.by[user]
	if b == nil {
		r.forget(now)
		b = &bucket{left: callsPerHour, at: now}
		r.by[user] = b
	}
	b.fill(now)
	if b.left < 1 {
		return 0, &stead.Error{Kind: stead.KindLimit, Msg: "your account reached the API limit of 4500 calls an hour", Hint: "wait a few minutes before making new requests"}
	}
	b.left--
	return int(b.left), nil
}

// forget drops the full buckets when there are many.
func (r *rates) forget(now time.Time) {
	if len(r.by) < 10_000 {
		return
	}
	for id, b := range r.by {
		if b.fill(now); b.left == callsPerHour {
			delete(r.by, id)
		}
	}
}

// left returns how many calls the user has.
func (r *rates) left(user stead.ID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.by[user]
	if b == nil {
		return callsPerHour
	}
	b.fill(r.now())
	return int(b.left)
}
