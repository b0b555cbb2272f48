package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steadpaas/stead"
)

// onBoth runs a test on a fresh database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "stead.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, postgres(t)) })
}

func open(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

var at = time.Date(2026, 3, 1, 12, 30, 0, 123456000, time.UTC)

func id() stead.ID { return stead.NewID(time.Now()) }

// fixture is an org, a space and an app.
func fixture(t *testing.T, s *Store) (a App) {
	t.Helper()
	check(t, s.Update(t.Context(), func(tx *Tx) error {
		o := stead.Org{ID: id(), Name: "acme", CreatedAt: at}
		sp := stead.Space{ID: id(), OrgID: o.ID, Org: "acme", Name: "prod", CreatedAt: at}
		a = App{App: stead.App{ID: id(), Name: "hello", SpaceID: sp.ID, Space: "prod", OrgID: o.ID, Org: "acme", Region: "default", CreatedAt: at, UpdatedAt: at}}
		return errors.Join(tx.InsertOrg(o), tx.InsertSpace(sp), tx.InsertApp(a))
	}))
	return a
}

func TestRoundTrips(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := fixture(t, s)
		check(t, s.Update(t.Context(), func(tx *Tx) error {
			roundTripPeople(t, tx, a)
			roundTripApp(t, tx, a)
			roundTripDeploy(t, tx, a)
			return nil
		}))
		check(t, s.View(t.Context(), func(tx *Tx) error {
			got, err := tx.AppByID(a.ID)
			check(t, err)
			want(t, "config", got.Config, []byte{1, 0, 255})
			return nil
		}))
	})
}

func roundTripPeople(t *testing.T, tx *Tx, a App) {
	u := User{stead.User{ID: id(), Email: "ada@example.com", Name: "Ada", Admin: true, CreatedAt: at}, "hash"}
	check(t, tx.InsertUser(u))
	want(t, "duplicate user", errors.Is(tx.InsertUser(u), ErrDuplicate), true)
	got, err := tx.User("ada@example.com")
	check(t, err)
	want(t, "user", got, u)
	_, err = tx.User("nobody@example.com")
	want(t, "no user", errors.Is(err, ErrNotFound), true)
	end := at.Add(time.Hour)
	tok := Token{Token: stead.Token{ID: id(), UserID: u.ID, Name: "ci", Scope: stead.ScopeRead, CreatedAt: at, ExpiresAt: &end}, Login: true, Hash: "h"}
	check(t, tx.InsertToken(tok))
	check(t, tx.TouchToken(tok.ID, end))
	tok.UsedAt = &end
	gotTok, err := tx.TokenByHash("h")
	check(t, err)
	want(t, "token", gotTok, tok)
	k := stead.SSHKey{ID: id(), UserID: u.ID, Name: "laptop", Fingerprint: "SHA256:x", PublicKey: "ssh-ed25519 AAAA", CreatedAt: at}
	check(t, tx.InsertSSHKey(k))
	gotKey, err := tx.SSHKeyByFingerprint("SHA256:x")
	check(t, err)
	want(t, "key", gotKey, k)
	m := stead.Member{UserID: u.ID, Email: u.Email, OrgID: a.OrgID, SpaceID: a.SpaceID, Role: stead.RoleAuditor}
	check(t, tx.SetMember(m))
	m.Role = stead.RoleDeveloper
	check(t, tx.SetMember(m))
	all, err := tx.Memberships(u.ID)
	check(t, err)
	want(t, "memberships", all, []stead.Member{m})
	check(t, tx.DeleteUser(u.ID))
	all, err = tx.Memberships(u.ID)
	check(t, err)
	want(t, "memberships of a deleted user", all, []stead.Member{})
}

func roundTripApp(t *testing.T, tx *Tx, a App) {
	a.Config, a.Maintenance, a.Builds = []byte{1, 0, 255}, true, 7
	check(t, tx.SaveApp(a))
	got, err := tx.AppsNamed("acme", "", "hello")
	check(t, err)
	want(t, "app", got, []App{a})
	p := stead.DefaultProcess("web")
	check(t, tx.InsertProcess(a.ID, p))
	p.Quantity, p.Stopped, p.UpdatedAt, p.Health.Path = 4, true, &a.CreatedAt, "/up"
	check(t, tx.SaveProcess(a.ID, p))
	ps, err := tx.Processes(a.ID)
	check(t, err)
	want(t, "processes", ps, []stead.Process{p})
	d := stead.Domain{ID: id(), AppID: a.ID, Host: "www.example.com", CreatedAt: at}
	check(t, tx.InsertDomain(d))
	want(t, "duplicate domain", errors.Is(tx.InsertDomain(stead.Domain{ID: id(), AppID: a.ID, Host: d.Host}), ErrDuplicate), true)
	below, err := tx.DomainsBelow("example.com")
	check(t, err)
	want(t, "domains below", below, []stead.Domain{d})
	r := stead.Route{ID: id(), AppID: a.ID, App: "hello", Host: d.Host, Path: "/", Process: "web", StripPrefix: true}
	check(t, tx.InsertRoute(r))
	r.Policy, r.Passwords = stead.RoutePolicy{Sticky: true, Deny: []string{"192.0.2.0/24"}}, map[string]string{"ann": "hash"}
	check(t, tx.SaveRoute(r))
	check(t, tx.SavePages(a.ID, stead.Pages{Maintenance: "<p>soon", Error: "<p>oh"}))
	check(t, tx.SavePages(a.ID, stead.Pages{Error: "<p>oh no"}))
	pages, err := tx.Pages(a.ID)
	check(t, err)
	want(t, "pages", pages, stead.Pages{Error: "<p>oh no"})
	rs, err := tx.Routes(a.ID)
	check(t, err)
	want(t, "routes", rs, []stead.Route{r})
	check(t, tx.DeleteDomain(d.ID))
	rs, err = tx.Routes(a.ID)
	check(t, err)
	want(t, "routes of a removed domain", len(rs), 0)
	i := stead.Instance{Name: "web.1", AppID: a.ID, Process: "web", Release: 1, State: stead.InstanceUp, Size: "nano", Region: "default", Since: at, Ref: "e1"}
	check(t, tx.SaveInstance(i))
	code := 137
	i.State, i.ExitCode, i.Restarts = stead.InstanceCrashed, &code, 2
	check(t, tx.SaveInstance(i))
	is, err := tx.Instances(a.ID)
	check(t, err)
	want(t, "instances", is, []stead.Instance{i})
}

func roundTripDeploy(t *testing.T, tx *Tx, a App) {
	b := Build{Build: stead.Build{ID: id(), AppID: a.ID, App: "hello", Number: 1, State: stead.BuildQueued,
		Source: stead.Source{Kind: stead.SourceArchive, Digest: "sha256:1", Message: "ä'\"\n"}, By: "ada", CreatedAt: at}, Until: at}
	check(t, tx.InsertBuild(b))
	next, err := tx.NextBuild(at)
	check(t, err)
	want(t, "next build", next, b)
	b.State, b.Holder, b.StartedAt, b.Attempts = stead.BuildRunning, "me", &b.CreatedAt, 1
	b.Image = stead.Image{Ref: "x", Processes: map[string]stead.Command{"web": nil, "worker": {"a", "b"}}}
	b.Stages = []stead.Stage{{Name: "build", Seconds: 1.5}}
	check(t, tx.SaveBuild(b))
	got, err := tx.Build(a.ID, 1)
	check(t, err)
	want(t, "build", got, b)
	_, err = tx.NextBuild(at)
	want(t, "claimed build", errors.Is(err, ErrNotFound), true)
	r := Release{stead.Release{ID: id(), AppID: a.ID, App: "hello", Version: 1, State: stead.ReleasePending, Image: b.Image, ConfigKeys: []string{"A"},
		BuildID: b.ID, By: "ada", CreatedAt: at}, []byte("sealed")}
	check(t, tx.InsertRelease(r))
	open, err := tx.OpenReleases(a.ID)
	check(t, err)
	want(t, "release", open, []Release{r})
	r.State, r.LiveAt = stead.ReleaseLive, &at
	check(t, tx.SaveReleaseState(r))
	former, err := tx.FormerRelease(a.ID, 2)
	check(t, err)
	want(t, "former release", former, r)
	task := Task{Task: stead.Task{ID: id(), AppID: a.ID, App: "hello", Name: "run.1", Release: 1, Command: stead.Command{"ls"}, Attached: true,
		State: stead.TaskPending, CreatedAt: at}, ReleaseID: r.ID, SealedEnv: []byte("env")}
	check(t, tx.InsertTask(task))
	tasks, err := tx.OpenTasks()
	check(t, err)
	want(t, "task", tasks, []Task{task})
	sealed, err := tx.SealedAfter(Sealed{}, 10)
	check(t, err)
	want(t, "sealed values", len(sealed), 3)
	rest, err := tx.SealedAfter(sealed[0], 10)
	check(t, err)
	want(t, "sealed values after the first", rest, sealed[1:])
	kept, err := tx.KeptReleases(0)
	check(t, err)
	want(t, "kept releases", len(kept), 1)
}

func TestEventsAreInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for range 25 {
					e := Event{Event: stead.Event{ID: id(), At: at, Actor: "ada", Verb: "app.create", OrgID: "o", Data: map[string]any{"n": 1.0}}}
					if err := s.Update(context.Background(), func(tx *Tx) error { return tx.InsertEvent(e) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		check(t, s.View(t.Context(), func(tx *Tx) error {
			all, err := tx.Events(EventFilter{Limit: 1000})
			check(t, err)
			for i, e := range all {
				want(t, "seq", e.Seq, int64(i+1))
			}
			want(t, "events", len(all), 100)
			last, err := tx.Events(EventFilter{Limit: 3, Newest: true, Verb: "app.", Seen: true, Orgs: []stead.ID{"o"}, Actor: "eve"})
			check(t, err)
			want(t, "newest", []int64{last[0].Seq, last[2].Seq}, []int64{98, 100})
			none, err := tx.Events(EventFilter{Limit: 3, Seen: true, Spaces: []stead.ID{"s"}, Actor: "eve"})
			check(t, err)
			want(t, "foreign events", len(none), 0)
			return nil
		}))
	})
}

// TestUpdatesTakeTurns has two stores on one database count in memory: no
// count is lost only if no Update overlaps another.
func TestUpdatesTakeTurns(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		stores := []*Store{open(t, dsn), open(t, dsn)}
		a := fixture(t, stores[0])
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() {
				for range 10 {
					err := stores[i%2].Update(context.Background(), func(tx *Tx) error {
						got, err := tx.AppByID(a.ID)
						if err != nil {
							return err
						}
						got.Builds++
						return tx.SaveApp(got)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		check(t, stores[0].View(t.Context(), func(tx *Tx) error {
			got, err := tx.AppByID(a.ID)
			want(t, "count", got.Builds, 40)
			return err
		}))
	})
}

func TestFailedUpdateLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		boom := errors.New("boom")
		err := s.Update(t.Context(), func(tx *Tx) error {
			return errors.Join(tx.InsertOrg(stead.Org{ID: id(), Name: "acme"}), boom)
		})
		want(t, "error", errors.Is(err, boom), true)
		check(t, s.View(t.Context(), func(tx *Tx) error {
			all, err := tx.Orgs()
			want(t, "orgs", len(all), 0)
			return err
		}))
		err = s.View(t.Context(), func(tx *Tx) error { return tx.InsertOrg(stead.Org{ID: id(), Name: "acme"}) })
		if err == nil {
			t.Error("a View could write")
		}
	})
}

func TestMigrations(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		steps := append(migrations(), migration{9001, "9001_test.sql", "CREATE TABLE extra (n INTEGER NOT NULL);\nINSERT INTO extra (n) VALUES (1);\n"})
		check(t, s.migrate(t.Context(), steps))
		check(t, s.migrate(t.Context(), steps))
		_, err := Open(t.Context(), dsn)
		if stead.KindOf(err) != stead.KindPrecondition || !strings.Contains(err.Error(), "newer release") {
			t.Errorf("a newer schema: %v", err)
		}
		late := append([]migration{{8999, "8999_late.sql", "CREATE TABLE late (n INTEGER NOT NULL);\n"}}, steps...)
		check(t, s.migrate(t.Context(), late))
		check(t, s.Update(t.Context(), func(tx *Tx) error { return tx.exec(`SELECT n FROM late`) }))
		bad := append(steps, migration{9002, "9002_bad.sql", "CREATE TABLE half (n INTEGER);\nNONSENSE;\n"})
		if s.migrate(t.Context(), bad) == nil {
			t.Error("a bad migration passed")
		}
		if s.Update(t.Context(), func(tx *Tx) error { return tx.exec(`SELECT n FROM half`) }) == nil {
			t.Error("a failed migration left its first half")
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{"", "mysql://x", "sqlite:", "/path"} {
		if _, err := Open(t.Context(), dsn); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%q: %v", dsn, err)
		}
	}
	if _, err := Open(t.Context(), "sqlite:/nonexistent/dir/x.db"); stead.KindOf(err) != stead.KindUnavailable {
		t.Errorf("missing directory: %v", err)
	}
}

func TestSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%e.db")
	s := open(t, "sqlite:"+path)
	info, err := os.Stat(path)
	check(t, err)
	want(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
	for pragma, value := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		check(t, s.write.QueryRow("PRAGMA "+pragma).Scan(&got))
		want(t, pragma, got, value)
	}
}

func TestRetry(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	s.dialect = flaky{s.dialect}
	n := 0
	check(t, s.Update(t.Context(), func(*Tx) error {
		if n++; n < 3 {
			return errBusy
		}
		return nil
	}))
	want(t, "runs", n, 3)
	n = 0
	err := s.Update(t.Context(), func(*Tx) error { n++; return errBusy })
	want(t, "runs without end", []any{n, errors.Is(err, errBusy)}, []any{attempts, true})
}

var errBusy = errors.New("busy")

type flaky struct{ dialect }

func (flaky) again(err error) bool { return errors.Is(err, errBusy) }
