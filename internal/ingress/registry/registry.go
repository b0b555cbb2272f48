// Package registry is the platform's image registry: the OCI distribution API
// (https://github.com/opencontainers/distribution-spec) over a directory, with
// the platform's own access rules in front.
//
// Three kinds of user speak to it. The platform itself (user "stead") may do
// everything. A build (user "build") may read and write the repository that its
// short-lived password was made for, and read the base images. People push to
// "<app>", "<space>/<app>" or "<org>/<space>/<app>"; that is stored as
// "apps/<app id>", the same place that builds write to.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // registers the driver
	"github.com/sirupsen/logrus"
	"github.com/steadpaas/stead"
)

// Users that are not people.
const (
	UserPlatform = "stead" // with the secret: everything
	UserBuild    = "build" // with a password from BuildPassword: one repository
)

// MaxManifest is the largest manifest that is taken, in bytes.
const MaxManifest = 4 << 20

// Config is what a Registry is made of.
type Config struct {
	Dir    string // everything is kept below it
	Secret string // the platform's own password

	// Authorize decides about a person: may they pull from (push false) or push
	// to the repository, and whose is it? The context it returns carries the
	// actor and is handed to OnPush. Its errors become 401, 403, 404 or 503. Nil:
	// no people.
	Authorize func(ctx context.Context, user, password, repository string, push bool) (context.Context, stead.App, error)

	// OnPush is called after a person pushed a manifest under a tag, before the
	// answer; ref is "apps/<id>@sha256:…". Its error fails the push.
	OnPush func(ctx context.Context, app stead.App, ref string) error

	Grace time.Duration // what is younger is never collected; 0: an hour
}

// Registry serves the distribution API. Use Handler; Collect keeps its size down.
type Registry struct {
	cfg Config
	app *handlers.App
	log *slog.Logger
	mu  sync.RWMutex // read: a request; write: a collection
}

// Open opens the registry in cfg.Dir, which is made if it is not there. Call
// Close when done.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Registry, error) {
	if len(cfg.Secret) < 16 {
		return nil, fmt.Errorf("open registry: the secret is shorter than 16 bytes")
	}
	if cfg.Grace == 0 {
		cfg.Grace = time.Hour
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	quiet()
	app, err := newApp(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Registry{cfg: cfg, app: app, log: log}, nil
}

// newApp makes distribution's handler; it reports a bad configuration by panic.
func newApp(ctx context.Context, cfg Config) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open registry: %v", p)
		}
	}()
	upload := sha256.Sum256([]byte("upload state\x00" + cfg.Secret))
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  {"rootdirectory": cfg.Dir, "maxthreads": 100},
		"delete":      {"enabled": true},
		"redirect":    {"disable": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.RelativeURLs = true
	c.HTTP.Secret = hex.EncodeToString(upload[:])
	c.Catalog.MaxEntries = 1000
	c.Validation.Disabled = true
	return handlers.NewApp(ctx, c), nil
}

// quiet keeps distribution, which can only log through logrus's global logger,
// from writing a line for each request. Failures reach the client anyway.
func quiet() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
}

// Close ends what runs in the background.
func (r *Registry) Close() error { return r.app.Shutdown() }

// Handler returns the registry's API, to be mounted at "/v2/".
func (r *Registry) Handler() http.Handler { return http.HandlerFunc(r.serve) }
