package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

func status(s *server) {
	handle(s, op("Status", "GET", "status", "How the platform does"), func(ctx context.Context, _ *none) (stead.Status, error) {
		st, err := s.p.Status(ctx)
		out := stead.Status{Version: st.Version, OK: st.OK, Checks: []stead.Check{}}
		for _, c := range st.Checks {
			out.Checks = append(out.Checks, stead.Check{Name: c.Name, OK: c.OK, Detail: c.Detail})
		}
		return out, err
	})
	handle(s, op("Version", "GET", "version", "What runs here", open), func(context.Context, *none) (stead.Version, error) {
		return stead.Version{Version: s.version, API: "v1"}, nil
	})
}

// healthz says that the process answers.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{\"ok\":true}\n")) // the client is gone: nobody to tell
}

// readiness keeps the last answer of readyz for a moment: anybody may ask.
type readiness struct {
	mu   sync.Mutex
	at   time.Time
	code int
	body []byte
}

const readyTime = 2 * time.Second

// readyz says whether the platform's parts do their work, and names those
// that do not. It tells no details: it needs no token.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	s.ready.mu.Lock()
	if now := time.Now(); now.Sub(s.ready.at) > readyTime {
		ctx, cancel := context.WithTimeout(stead.WithActor(context.WithoutCancel(r.Context()), stead.System), 10*time.Second)
		s.ready.code, s.ready.body = s.checkReady(ctx)
		s.ready.at = time.Now()
		cancel()
	}
	code, body := s.ready.code, s.ready.body
	s.ready.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client is gone: nobody to tell
}

func (s *server) checkReady(ctx context.Context) (int, []byte) {
	st, err := s.p.Status(ctx)
	failed := []string{}
	if err != nil {
		s.log.WarnContext(ctx, "status failed", "error", err)
		failed = append(failed, "status")
	}
	for _, c := range st.Checks {
		if !c.OK {
			failed = append(failed, c.Name)
		}
	}
	ok := err == nil && st.OK
	body, _ := json.Marshal(map[string]any{"ok": ok, "failed": failed}) // strings only
	if !ok {
		return http.StatusServiceUnavailable, body
	}
	return http.StatusOK, body
}
