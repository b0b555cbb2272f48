package route

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// The router's half of scale to zero. A rule with Wake and no backend holds its
// requests, at most maxWaking of an app and for at most Limits.Wake, and says on
// the control socket that the app is wanted; it serves them by the first table
// that has a backend. Who starts the app, and who stops an idle one by what
// Activity tells, is the control plane.

// maxWaking is how many requests wait for one app to wake.
const maxWaking = 1000

// Wanted says that requests wait for an app that has no instance.
type Wanted struct {
	App     stead.ID  `json:"app"`
	Since   time.Time `json:"since"`   // the first of them
	Waiting int       `json:"waiting"` // how many there are
}

// Activity is when an app was last asked for.
type Activity struct {
	Last     time.Time `json:"last"`     // the start of its last request; zero: none since the router started
	Inflight int64     `json:"inflight"` // requests and upgraded connections
}

// wants is which apps are waited for.
type wants struct {
	mu   sync.Mutex
	apps map[stead.ID]*Wanted
	wake chan struct{} // a want is new
}

func newWants() *wants { return &wants{apps: map[stead.ID]*Wanted{}, wake: make(chan struct{}, 1)} }

// enter counts a request that waits; false when too many do.
func (w *wants) enter(app stead.ID, at int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.apps[app]
	if x == nil {
		x = &Wanted{App: app, Since: time.Unix(0, at).UTC()}
		w.apps[app] = x
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	if x.Waiting >= maxWaking {
		return false
	}
	x.Waiting++
	return true
}

func (w *wants) leave(app stead.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.apps[app]; x != nil {
		if x.Waiting--; x.Waiting <= 0 {
			delete(w.apps, app)
		}
	}
}

// list returns what is wanted now.
func (w *wants) list() []Wanted {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Wanted, 0, len(w.apps))
	for _, x := range w.apps {
		out = append(out, *x)
	}
	return out
}

// getWanted streams what is wanted, at once when it is new and each second while
// it lasts, until the reader goes.
func (s *server) getWanted(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	rc.Flush()
	enc := json.NewEncoder(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, x := range s.core.wants.list() {
			if enc.Encode(x) != nil {
				return
			}
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.core.wants.wake:
		case <-tick.C:
		}
	}
}

// Wanted yields the apps that requests wait for, each when the first comes and
// again every second, until ctx ends, or an error when the router does; call it
// again then. There is one reader at a time.
func (c *Client) Wanted(ctx context.Context) iter.Seq2[Wanted, error] {
	return follow[Wanted](ctx, c, "/wanted")
}

// Activity returns when each app whose rules may wake was last asked for.
func (c *Client) Activity(ctx context.Context) (out map[stead.ID]Activity, err error) {
	return out, c.call(ctx, "GET", "/activity", nil, &out)
}

// activity returns when the apps whose rules may wake were last asked for.
func (k *core) activity() map[stead.ID]Activity {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[stead.ID]Activity{}
	k.table.Load().each(func(t *target) {
		if t.seen == nil {
			return
		}
		a := out[t.App]
		if n := t.seen.Load(); n > 0 {
			a.Last = time.Unix(0, n).UTC()
		}
		for _, b := range t.backends {
			a.Inflight += b.inflight.Load() + b.sockets.Load()
		}
		out[t.App] = a
	})
	return out
}
