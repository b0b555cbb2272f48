package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

type remoteKey struct{}

// WithRemote returns a context that carries the address a request came from,
// without its port. Limits on guessing count by it.
func WithRemote(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, remoteKey{}, addr)
}

// RemoteFrom returns the context's remote address, or "".
func RemoteFrom(ctx context.Context) string {
	s, _ := ctx.Value(remoteKey{}).(string)
	return s
}

// Limiter counts failures by key and refuses a key that failed too often. Each
// key may fail burst times at once and once more each interval. It keeps a
// bounded number of keys.
type Limiter struct {
	burst    int
	interval time.Duration
	now      func() time.Time
	mu       sync.Mutex
	full     map[string]time.Time // when the key's last failure is forgiven
}

// maxKeys bounds a Limiter's memory.
const maxKeys = 10_000

// NewLimiter returns a limiter; now tells the time.
func NewLimiter(burst int, interval time.Duration, now func() time.Time) *Limiter {
	return &Limiter{burst: burst, interval: interval, now: now, full: map[string]time.Time{}}
}

// Try counts an attempt as a failure until the returned function, which says
// that it was none, is called. It fails with KindLimit when there were too many.
func (l *Limiter) Try(key string) (succeeded func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.sweep(now)
	at := l.full[key]
	if at.Before(now) {
		at = now
	}
	if wait := at.Add(l.interval).Sub(now) - time.Duration(l.burst)*l.interval; wait > 0 {
		return nil, &stead.Error{Kind: stead.KindLimit, Msg: "too many failed logins",
			Hint: fmt.Sprintf("wait %d seconds and try again", int(wait.Seconds())+1)}
	}
	l.full[key] = at.Add(l.interval)
	return func() { l.forgive(key) }, nil
}

func (l *Limiter) forgive(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.full[key]; ok {
		l.full[key] = at.Add(-l.interval)
	}
}

// sweep forgets keys without failures when there are many; if all have some,
// it forgets any, which is kinder than to refuse everybody.
func (l *Limiter) sweep(now time.Time) {
	if len(l.full) < maxKeys {
		return
	}
	for k, at := range l.full {
		if !at.After(now) {
			delete(l.full, k)
		}
	}
	for k := range l.full {
		if len(l.full) < maxKeys {
			return
		}
		delete(l.full, k)
	}
}
