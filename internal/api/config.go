package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
)

// stripes are locks for things by name, so that the check of an If-Match and
// the change are one. They hold for one API server: with several, two changes
// in the same instant can still both succeed.
type stripes [16]sync.Mutex

func (s *stripes) lock(name string) (unlock func()) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	m := &s[h.Sum32()%uint32(len(s))]
	m.Lock()
	return m.Unlock
}

func etag(c stead.Config) string {
	data, _ := json.Marshal(c) // strings only; keys are sorted
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

type configAnswer struct {
	ETag string `header:"ETag"`
	Body stead.Config
}

func config(s *server) {
	huma.Register(s.api, op("Config", "GET", "apps/{app}/config", "The app's config, values included"), func(ctx context.Context, in *AppRef) (*configAnswer, error) {
		c, err := s.p.Config(ctx, in.App)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		if c == nil {
			c = stead.Config{}
		}
		return &configAnswer{ETag: etag(c), Body: c}, nil
	})
	type change struct {
		AppRef
		IfMatch string `header:"If-Match" maxLength:"100" doc:"The ETag of the config that the change is meant for."`
		Body    map[string]*string
	}
	handle(s, op("SetConfig", "PATCH", "apps/{app}/config", "Set config keys and, by null, remove them, in one release"), func(ctx context.Context, in *change) (stead.ConfigChange, error) {
		if in.IfMatch != "" {
			app, err := s.p.App(ctx, in.App)
			if err != nil {
				return stead.ConfigChange{}, err
			}
			defer s.configs.lock(string(app.ID))()
			if err := s.matches(ctx, in.App, in.IfMatch); err != nil {
				return stead.ConfigChange{}, err
			}
		}
		c, r, err := s.p.SetConfig(ctx, in.App, in.Body)
		return stead.ConfigChange{Config: c, Release: r}, err
	})
}

func (s *server) matches(ctx context.Context, app, want string) error {
	c, err := s.p.Config(ctx, app)
	if err != nil {
		return err
	}
	if c == nil {
		c = stead.Config{}
	}
	if want == "*" || strings.TrimPrefix(want, "W/") == etag(c) {
		return nil
	}
	return newProblem(ctx, http.StatusPreconditionFailed, &stead.Error{Kind: stead.KindPrecondition, Field: "If-Match",
		Msg: "the config was changed by somebody else meanwhile", Hint: "read it again, then repeat the change"})
}
