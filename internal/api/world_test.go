package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/fake"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

const password = "correct horse battery"

// world is a platform on SQLite with the fake engine.
type world struct {
	p      *platform.Platform
	h      http.Handler
	admin  context.Context // an operator
	email  string
	users  map[string]asker
	shared map[string]*tenant // by caller
}

type sources struct{}

func (sources) Put(_ context.Context, r io.Reader, _ int64) (string, int64, error) {
	n, err := io.Copy(io.Discard, r)
	return "sha256:" + strings.Repeat("ab", 32), n, err
}
func (sources) Open(string) (io.ReadCloser, error) { return nil, os.ErrNotExist }

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "stead.db"))
	check(t, err)
	t.Cleanup(func() { st.Close() })
	keys, err := secret.OpenKeyRing(filepath.Join(dir, "master.key"))
	check(t, err)
	lines, err := logs.Open(filepath.Join(dir, "logs"), logs.Limits{}, log)
	check(t, err)
	t.Cleanup(func() { lines.Close() })
	e := fake.New(lines, log)
	t.Cleanup(func() { e.Close() })
	p := platform.New(platform.Deps{Store: st, Explainer: explainer{}, Keys: keys, Logs: lines, Engines: map[string]engine.Engine{stead.DefaultName: e},
		Sources: sources{}, Logger: log, Now: time.Now, Settings: platform.Settings{Domain: "stead.localhost",
			AppURL: func(h string) string { return "http://" + h }, APIURL: "http://127.0.0.1:7800", SSHHost: "127.0.0.1:2222",
			Registry: "127.0.0.1:7800", Sizes: stead.Sizes(), TokenTTL: time.Hour, Version: "test"}})
	w := &world{p: p, email: "root@example.com", users: map[string]asker{}, shared: map[string]*tenant{}}
	token, err := p.Bootstrap(t.Context(), w.email, password)
	check(t, err)
	w.admin = w.as(t, token.Secret)
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) as(t *testing.T, secret string) context.Context {
	t.Helper()
	a, err := w.p.Authenticate(context.Background(), secret)
	check(t, err)
	return stead.WithActor(context.Background(), a)
}

// tenant is an org of its own with one of everything, and one who asks.
type tenant struct {
	org          stead.Org
	app          stead.App
	domain       stead.Domain
	route        stead.ID
	cert         stead.ID
	task         stead.Task
	pipeline     stead.ID
	drain        stead.ID
	schedule     stead.ID
	behind       stead.ID // an app behind the first one, in the pipeline
	key          stead.SSHKey
	other        stead.Token // of the one who asks
	email, token string
	adminEmail   string
	victim       string // a user without a part in this
	member       string // a member of the org
}

func (w *world) tenant(t *testing.T, c caller) *tenant {
	t.Helper()
	f := &tenant{adminEmail: w.email}
	name := "t" + strings.ReplaceAll(string(stead.NewID(time.Now()))[20:], "-", "")
	var err error
	f.org, err = w.p.CreateOrg(w.admin, name)
	check(t, err)
	f.app, err = w.p.CreateApp(w.admin, platform.NewApp{Name: name, Org: name})
	check(t, err)
	w.deploy(t, f)
	w.couple(t, f)
	f.member, f.victim = w.member(t), name+"@example.com"
	_, err = w.p.SetMember(w.admin, f.org.Name, "", f.member, stead.RoleDeveloper)
	check(t, err)
	_, err = w.p.SetCollaborator(w.admin, string(f.app.ID), f.member, stead.RoleAuditor)
	check(t, err)
	w.join(t, f, c)
	return f
}

// deploy gives the app a build, a live release, a domain, a route and a task.
func (w *world) deploy(t *testing.T, f *tenant) {
	t.Helper()
	sys := stead.WithActor(context.Background(), stead.System)
	ref := string(f.app.ID)
	_, err := w.p.Push(w.admin, ref, stead.Source{Kind: stead.SourceImage, Image: "docker.io/library/hello:1"})
	check(t, err)
	job, err := w.p.ClaimBuild(sys, "test", time.Minute)
	check(t, err)
	for job.Build.AppID != f.app.ID { // what an earlier tenant pushed
		_, err = w.p.FinishBuild(sys, job.Build.ID, "test", platform.BuildOutcome{}, stead.Precondition("not wanted", "none"))
		check(t, err)
		job, err = w.p.ClaimBuild(sys, "test", time.Minute)
		check(t, err)
	}
	image := stead.Image{Ref: "apps/" + ref + "@sha256:" + strings.Repeat("0", 64), Digest: "sha256:" + strings.Repeat("0", 64),
		Processes: map[string]stead.Command{"web": {"serve"}}}
	_, err = w.p.FinishBuild(sys, job.Build.ID, "test", platform.BuildOutcome{Pack: "image", Image: image}, nil)
	check(t, err)
	r, err := w.p.Release(w.admin, ref, 1)
	check(t, err)
	check(t, w.p.MarkRelease(sys, r.ID, stead.ReleaseReleasing))
	check(t, w.p.MarkRelease(sys, r.ID, stead.ReleaseRolling))
	check(t, w.p.ReleaseLive(sys, r.ID))
	f.domain, err = w.p.AddDomain(w.admin, ref, f.app.Name+".example.org")
	check(t, err)
	c, err := w.p.AddCertificate(w.admin, ref, selfSigned(f.domain.Host))
	check(t, err)
	f.cert = c.ID
	routes, err := w.p.Routes(w.admin, ref)
	check(t, err)
	f.route = routes[len(routes)-1].ID
	d, err := w.p.AddDrain(w.admin, ref, stead.NewDrain{URL: "https://user:secret@logs.example.com/"})
	check(t, err)
	f.drain = d.ID
	sc, err := w.p.AddSchedule(w.admin, ref, stead.NewSchedule{Cron: "@yearly", Command: stead.Command{"true"}})
	check(t, err)
	f.schedule = sc.ID
	f.task, err = w.p.Run(w.admin, ref, platform.NewTask{Command: stead.Command{"true"}, Attached: true})
	check(t, err)
}

// couple puts the app in a pipeline, with another one behind it.
func (w *world) couple(t *testing.T, f *tenant) {
	t.Helper()
	p, err := w.p.CreatePipeline(w.admin, f.org.Name, f.org.Name)
	check(t, err)
	b, err := w.p.CreateApp(w.admin, platform.NewApp{Name: f.org.Name + "-b", Org: f.org.Name})
	check(t, err)
	_, err = w.p.SetPipelineApp(w.admin, string(p.ID), string(f.app.ID), stead.StageStaging)
	check(t, err)
	_, err = w.p.SetPipelineApp(w.admin, string(p.ID), string(b.ID), stead.StageProduction)
	check(t, err)
	f.pipeline, f.behind = p.ID, b.ID
}

// member is a user who only has a role.
func (w *world) member(t *testing.T) string {
	t.Helper()
	return w.user(t, "member").email
}

// asker is one who asks, in many tenants.
type asker struct {
	email string
	ctx   context.Context
}

// user returns the user of that name. Hashing a password takes long, so there
// is one for all tenants.
func (w *world) user(t *testing.T, name string) asker {
	t.Helper()
	if a, ok := w.users[name]; ok {
		return a
	}
	a := asker{email: name + "@example.com"}
	_, err := w.p.CreateUser(w.admin, a.email, "", password, false)
	check(t, err)
	first, err := w.p.Login(context.Background(), a.email, password, "test")
	check(t, err)
	a.ctx = w.as(t, first.Secret)
	w.users[name] = a
	return a
}

// join gives the one who asks the role in the tenant and a token of the scope.
func (w *world) join(t *testing.T, f *tenant, c caller) {
	t.Helper()
	if c.scope == "" {
		f.email, f.other.ID, f.key.ID = "nobody@example.com", stead.NewID(time.Now()), stead.NewID(time.Now())
		return
	}
	a := w.user(t, c.name)
	f.email = a.email
	if c.role != stead.RoleNone {
		_, err := w.p.SetMember(w.admin, f.org.Name, "", f.email, c.role)
		check(t, err)
	}
	var err error
	f.other, err = w.p.CreateToken(a.ctx, "other", c.scope, 0)
	check(t, err)
	f.key, err = w.p.AddSSHKey(a.ctx, newKey())
	check(t, err)
	asks, err := w.p.CreateToken(a.ctx, "asks", c.scope, 0)
	check(t, err)
	f.token = asks.Secret
}

func newKey() string {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	k, err := ssh.NewPublicKey(pub)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " test"
}

// selfSigned is a certificate for a host that a person might bring.
func selfSigned(host string) stead.NewCertificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return stead.NewCertificate{Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}))}
}

// explainer explains nothing.
type explainer struct{}

func (explainer) Explain(context.Context, io.Reader) (stead.Explanation, error) {
	return stead.Explanation{Findings: []stead.Finding{}}, nil
}
