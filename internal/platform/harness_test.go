package platform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	enginefake "github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// world is a platform on a real SQLite database, with real logs and keys, and
// the people that tests act as.
type world struct {
	*Platform
	t       *testing.T
	dir     string
	logs    *logs.Store
	keys    *secret.KeyRing
	engine  *enginefake.Engine
	mu      sync.Mutex
	clock   time.Time
	admin   context.Context
	system  context.Context
	secret  string // of the administrator's token
	sources *memorySources
}

const (
	adminEmail = "root@example.com"
	password   = "correct horse battery"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), sources: &memorySources{data: map[string][]byte{}}}
	st, err := store.Open(t.Context(), database(t, dir))
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	w.keys, err = secret.OpenKeyRing(filepath.Join(dir, "master.keys"))
	check(t, err)
	w.logs, err = logs.Open(filepath.Join(dir, "logs"), logs.Limits{}, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, w.logs.Close()) })
	w.engine = enginefake.New(w.logs, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { check(t, w.engine.Close()) })
	w.Platform = New(Deps{Store: st, Keys: w.keys, Logs: w.logs, Sources: w.sources, Engines: map[string]engine.Engine{"default": w.engine},
		Settings: Settings{Domain: "stead.localhost", APIURL: "http://127.0.0.1:7800", SSHHost: "127.0.0.1:2222", Version: "test"},
		Now:      w.now})
	w.system = stead.WithActor(t.Context(), stead.System)
	token, err := w.Bootstrap(t.Context(), adminEmail, password)
	check(t, err)
	w.secret = token.Secret
	w.admin = w.login(token.Secret)
	return w
}

// database returns where the tests keep their state: a SQLite file, or a schema
// of its own in the PostgreSQL that STEAD_TEST_POSTGRES names.
func database(t *testing.T, dir string) string {
	dsn := os.Getenv("STEAD_TEST_POSTGRES")
	if dsn == "" {
		return "sqlite:" + filepath.Join(dir, "stead.db")
	}
	if !strings.Contains(dsn, "?") {
		dsn += "?sslmode=disable"
	}
	db, err := sql.Open("pgx", dsn)
	check(t, err)
	schema := "test_" + strings.ReplaceAll(string(stead.NewID(time.Now())), "-", "")
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	check(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		check(t, errors.Join(err, db.Close()))
	})
	return dsn + "&search_path=" + schema
}

// TestMain keeps the property tests short unless -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == f.DefValue {
		if err := f.Value.Set("20"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(time.Millisecond)
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) login(secret string) context.Context {
	w.t.Helper()
	a, err := w.Authenticate(w.t.Context(), secret)
	check(w.t, err)
	return stead.WithActor(w.t.Context(), a)
}

// person makes a user and returns a context that acts as it.
func (w *world) person(email string) context.Context {
	w.t.Helper()
	u, err := w.CreateUser(w.admin, email, "", "", false)
	check(w.t, err)
	return stead.WithActor(w.t.Context(), stead.Actor{UserID: u.ID, Email: u.Email, Scope: stead.ScopeAll})
}

func (w *world) app(name string) stead.App {
	w.t.Helper()
	a, err := w.CreateApp(w.admin, NewApp{Name: name})
	check(w.t, err)
	return a
}

func (w *world) push(app string) stead.Build {
	w.t.Helper()
	src, err := w.UploadSource(w.admin, app, bytes.NewReader([]byte("tree of "+app)))
	check(w.t, err)
	b, err := w.Push(w.admin, app, src)
	check(w.t, err)
	return b
}

func image(name string, processes ...string) stead.Image {
	sum := sha256.Sum256([]byte(name))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	i := stead.Image{Ref: "apps/x@" + digest, Digest: digest, Processes: map[string]stead.Command{}}
	for _, p := range processes {
		i.Processes[p] = stead.Shell("run " + p)
	}
	return i
}

// deploy pushes and builds, up to the new release.
func (w *world) deploy(app, name string, processes ...string) stead.Release {
	w.t.Helper()
	mine := w.push(app)
	job, err := w.ClaimBuild(w.system, "me", time.Hour)
	for ; err == nil && job.Build.ID != mine.ID; job, err = w.ClaimBuild(w.system, "me", time.Hour) {
	}
	check(w.t, err)
	b, err := w.FinishBuild(w.system, job.Build.ID, "me", BuildOutcome{Pack: "go", Image: image(name, processes...)}, nil)
	check(w.t, err)
	r, err := w.Release(w.admin, app, b.Release)
	check(w.t, err)
	return r
}

// roll makes a release live.
func (w *world) roll(r stead.Release) stead.Release {
	w.t.Helper()
	check(w.t, w.MarkRelease(w.system, r.ID, stead.ReleaseRolling))
	check(w.t, w.ReleaseLive(w.system, r.ID))
	r, err := w.Release(w.admin, string(r.AppID), r.Version)
	check(w.t, err)
	return r
}

func (w *world) live(app string, processes ...string) stead.Release {
	w.t.Helper()
	return w.roll(w.deploy(app, app, processes...))
}

func (w *world) intent(app stead.ID) Intent {
	w.t.Helper()
	all, err := w.Intents(w.system)
	check(w.t, err)
	for _, in := range all {
		if in.App.ID == app {
			return in
		}
	}
	return Intent{}
}

// verbs returns the verbs of all events with the prefix.
func (w *world) verbs(prefix string) []string {
	w.t.Helper()
	seq, err := w.Events(w.admin, EventQuery{Verb: prefix, Limit: maxEvents})
	check(w.t, err)
	var out []string
	for e, err := range seq {
		check(w.t, err)
		out = append(out, e.Verb)
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantKind(t *testing.T, what string, err error, k stead.Kind) {
	t.Helper()
	if err == nil || stead.KindOf(err) != k {
		t.Errorf("%s: got error %v, want kind %v", what, err, k)
	}
}

func ptr[T any](v T) *T { return &v }

// memorySources keeps archives in memory.
type memorySources struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (m *memorySources) Put(_ context.Context, r io.Reader, limit int64) (string, int64, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", 0, err
	}
	sum := sha256.Sum256(b)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data[digest] = b
	return digest, int64(len(b)), nil
}

func (m *memorySources) Open(digest string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.data[digest]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}
