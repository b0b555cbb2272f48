package heroku

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// tickets are URLs that are secrets: whoever has one may do the one thing it is
// for, as its maker, for a while. They live in memory: after a restart of the
// control plane, the client asks for another.
type tickets struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]ticket
}

type ticket struct {
	actor  stead.Actor
	until  time.Time
	of     any // what it is for
	single bool
}

// maxTickets bounds the memory of all.
const maxTickets = 20_000

func newTickets(now func() time.Time) *tickets { return &tickets{now: now, by: map[string]ticket{}} }

// issue returns the secret of a new ticket.
func (t *tickets) issue(actor stead.Actor, of any, life time.Duration, single bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if len(t.by) >= maxTickets {
		for k, v := range t.by {
			if now.After(v.until) {
				delete(t.by, k)
			}
		}
	}
	if len(t.by) >= maxTickets {
		return "", &stead.Error{Kind: stead.KindLimit, Msg: "too many sessions are open", Hint: "try again in a few minutes"}
	}
	secret := rand.Text() + rand.Text()
	t.by[secret] = ticket{actor, now.Add(life), of, single}
	return secret, nil
}

// use returns what a ticket of kind T is for; single ones are gone with it.
func use[T any](t *tickets, secret string) (actor stead.Actor, of T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.by[secret]
	if !ok || t.now().After(v.until) {
		delete(t.by, secret)
		return actor, of, false
	}
	of, ok = v.of.(T)
	if ok && v.single {
		delete(t.by, secret)
	}
	return v.actor, of, ok
}

// put changes what a ticket is for.
func (t *tickets) put(secret string, of any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.by[secret]; ok {
		v.of = of
		t.by[secret] = v
	}
}
