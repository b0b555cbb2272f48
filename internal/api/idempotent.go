package api

import (
	"bytes"
	stdlist "container/list"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/steadpaas/stead"
)

// Successful answers to POSTs with an Idempotency-Key are kept in memory, per
// user, so that a client that lost the answer can ask again without doing the
// thing twice. A restart of the platform forgets them.
const (
	maxReplays   = 2000
	maxReplay    = 64 << 10 // bytes of one kept answer
	replayTime   = 10 * time.Minute
	maxReplayKey = 200
)

func unwrap(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }

type (
	replayKey [sha256.Size]byte

	// kept is one answer; done is false while its request runs.
	kept struct {
		key    replayKey
		body   replayKey
		done   bool
		at     time.Time
		status int
		kind   string
		data   []byte
	}

	// replays is a least-recently-made list of answers.
	replays struct {
		mu    sync.Mutex
		max   int
		ttl   time.Duration
		order *stdlist.List
		byKey map[replayKey]*stdlist.Element
	}
)

func newReplays(max int, ttl time.Duration) *replays {
	return &replays{max: max, ttl: ttl, order: stdlist.New(), byKey: map[replayKey]*stdlist.Element{}}
}

// begin returns the answer to an equal request, or nil after taking note that
// this one runs.
func (r *replays) begin(key, body replayKey, now time.Time) (*kept, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if el, ok := r.byKey[key]; ok {
		k := el.Value.(*kept)
		switch {
		case now.Sub(k.at) > r.ttl:
			r.drop(el)
		case k.body != body:
			return nil, stead.Invalid("Idempotency-Key", "the key was used for another request", "make a new key for each request")
		case !k.done:
			return nil, stead.Conflict("the same request is still being carried out", "wait, then send it again with the same key")
		default:
			return k, nil
		}
	}
	r.byKey[key] = r.order.PushBack(&kept{key: key, body: body, at: now})
	for r.order.Len() > r.max {
		r.drop(r.order.Front())
	}
	return nil, nil
}

func (r *replays) drop(el *stdlist.Element) {
	delete(r.byKey, el.Value.(*kept).key)
	r.order.Remove(el)
}

// end keeps the answer if it is a success, and forgets the request otherwise.
func (r *replays) end(key replayKey, a *keeper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	el, ok := r.byKey[key]
	if !ok {
		return
	}
	if a.status < 200 || a.status >= 300 || a.full {
		r.drop(el)
		return
	}
	old := el.Value.(*kept)
	el.Value = &kept{key: key, body: old.body, at: old.at, done: true, status: a.status,
		kind: a.Header().Get("Content-Type"), data: a.data.Bytes()}
}

// keeper copies an answer on its way.
type keeper struct {
	recorder
	data bytes.Buffer
	full bool
}

func (k *keeper) Write(p []byte) (int, error) {
	if k.full = k.full || k.data.Len()+len(p) > maxReplay; !k.full {
		k.data.Write(p)
	}
	return k.recorder.Write(p)
}

// unkept are the POSTs that are not replayed: streams, and those whose answer
// is a secret.
func unkept(id string) bool {
	switch id {
	case "Login", "CreateToken", "UploadSource", "Attach", "Exec":
		return true
	}
	return false
}

// replay is the middleware for Idempotency-Key. It runs behind authenticate.
func (s *server) replay(ctx huma.Context, next func(huma.Context)) {
	name := ctx.Header("Idempotency-Key")
	if ctx.Method() != http.MethodPost || name == "" || unkept(ctx.Operation().OperationID) {
		next(ctx)
		return
	}
	r, w := unwrap(ctx)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil && len(name) > maxReplayKey {
		err = stead.Invalid("Idempotency-Key", "the key is longer than 200 characters", "use a random key")
	}
	if err != nil {
		s.refuse(ctx, tooLarge(err))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	key := sha256.Sum256([]byte(string(stead.ActorFrom(ctx.Context()).UserID) + "\x00" +
		string(stead.ActorFrom(ctx.Context()).TokenID) + "\x00" + r.URL.RequestURI() + "\x00" + name))
	old, err := s.replays.begin(key, sha256.Sum256(body), time.Now())
	switch {
	case err != nil:
		s.refuse(ctx, err)
	case old != nil:
		old.write(w)
	default:
		k := &keeper{recorder: recorder{ResponseWriter: w}}
		defer s.replays.end(key, k)
		next(huma.WithContext(humago.NewContext(ctx.Operation(), r, k), ctx.Context()))
	}
}

func tooLarge(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{stead.Problem{Type: "about:blank", Title: http.StatusText(http.StatusRequestEntityTooLarge),
			Status: http.StatusRequestEntityTooLarge, Kind: stead.KindLimit.String(),
			Detail: "the request is larger than 1 MiB", Hint: "send less at once"}}
	}
	return err
}

func (k *kept) write(w http.ResponseWriter) {
	if k.kind != "" {
		w.Header().Set("Content-Type", k.kind)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(k.status)
	_, _ = w.Write(k.data) // the client is gone: nobody to tell
}
