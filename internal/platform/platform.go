// Package platform is the hall of the house: the use-cases, a file per noun.
//
// Each use-case checks access (the actor is in the context), validates, and
// makes one transaction that writes the change and its Event; then it wakes the
// loops. Nothing here is slow: a use-case writes intent, the loops of package
// converge carry it out and report back through the use-cases in loops.go.
//
// An app is referred to by ID, by name ("hello", in any space the actor can
// see, if only one has it), or by path ("space/hello", "org/space/hello").
// What the actor may not see is not found; what it may see but not change is
// forbidden.
package platform

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/auth"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// Settings are the operator's choices that use-cases depend on. Zero fields
// have defaults.
type Settings struct {
	Domain   string                   // apps answer at <app>.<Domain>; stead.localhost
	AppURL   func(host string) string // the URL of a host, with the port people use
	APIURL   string                   // http://127.0.0.1:7800
	SSHHost  string                   // host:port for ssh:// remotes
	Registry string                   // host:port of the image registry as people name it
	Sizes    []stead.Size             // stead.Sizes()
	MaxApps  int                      // per space; 0: no limit
	TokenTTL time.Duration            // of login tokens; 90 days
	Version  string
}

// Sources keeps uploaded archives by digest.
type Sources interface {
	// Put stores what r gives, at most limit bytes, and returns its digest
	// (sha256:…) and size. Nothing is left of an upload that fails.
	Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error)
	Open(digest string) (io.ReadCloser, error)
}

// Deps is what a Platform is made of.
type Deps struct {
	Store     *store.Store
	Keys      *secret.KeyRing
	Logs      LogStore
	Engines   map[string]engine.Engine // by region's name
	Sources   Sources
	Explainer Explainer // nil: none
	Settings  Settings
	Logger    *slog.Logger     // nil: none
	Now       func() time.Time // nil: time.Now
}

// LogStore is the part of package logs that use-cases need.
type LogStore interface {
	logs.Appender
	logs.Tailer
}

// Platform is the set of use-cases over one store. It is safe for concurrent
// use; several may share one PostgreSQL.
type Platform struct {
	d         Deps
	set       Settings
	log       *slog.Logger
	now       func() time.Time
	passwords *auth.Passwords
	byEmail   *auth.Limiter
	byRemote  *auth.Limiter
	bell      *bell
	attached  *attachments
	checks    *checks
}

// hashesAtOnce bounds the memory of logins: 19 MiB each.
const hashesAtOnce = 3

// New returns a platform over d.
func New(d Deps) *Platform {
	p := &Platform{d: d, set: d.Settings, log: d.Logger, now: d.Now, passwords: auth.NewPasswords(hashesAtOnce),
		bell: newBell(), attached: newAttachments(), checks: &checks{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.set.Domain == "" {
		p.set.Domain = "stead.localhost"
	}
	if p.set.AppURL == nil {
		p.set.AppURL = func(host string) string { return "http://" + host }
	}
	if p.set.Sizes == nil {
		p.set.Sizes = stead.Sizes()
	}
	if p.set.TokenTTL == 0 {
		p.set.TokenTTL = 90 * 24 * time.Hour
	}
	p.byEmail = auth.NewLimiter(10, 30*time.Second, p.now)
	p.byRemote = auth.NewLimiter(50, 6*time.Second, p.now)
	return p
}
