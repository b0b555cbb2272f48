package heroku

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
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

// world is a platform on SQLite with the fake engine, and no loops.
type world struct {
	t      *testing.T
	p      *platform.Platform
	h      http.Handler
	admin  context.Context
	secret string // the administrator's token
	people map[string]string
}

type sources struct{}

func (sources) Put(_ context.Context, r io.Reader, _ int64) (string, int64, error) {
	n, err := io.Copy(io.Discard, r)
	return "sha256:" + strings.Repeat("ab", 32), n, err
}
func (sources) Open(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

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
	p := platform.New(platform.Deps{Store: st, Keys: keys, Logs: lines, Engines: map[string]engine.Engine{stead.DefaultName: e},
		Sources: sources{}, Logger: log, Settings: platform.Settings{APIURL: "http://127.0.0.1:7800"}})
	token, err := p.Bootstrap(t.Context(), "root@example.com", password)
	check(t, err)
	w := &world{t: t, p: p, h: New(Config{Platform: p, URL: "http://127.0.0.1:7800", Logger: log}), secret: token.Secret, people: map[string]string{}}
	w.admin = w.as(t, token.Secret)
	return w
}

func (w *world) as(t *testing.T, secret string) context.Context {
	t.Helper()
	a, err := w.p.Authenticate(context.Background(), secret)
	check(t, err)
	return stead.WithActor(context.Background(), a)
}

// tenant is an org with one of everything, asked by the platform's administrator.
type tenant struct {
	token, org, space string
	app               stead.App
	build, key, auth  stead.ID
	victim            string
	pipeline, drain   stead.ID
	promotion         stead.ID
	cert              stead.ID
	staging           stead.App
}

func fresh() string { return "t" + strings.ReplaceAll(string(stead.NewID(time.Now()))[20:], "-", "") }

func (w *world) tenant(t *testing.T) *tenant {
	t.Helper()
	f := &tenant{token: w.secret, org: fresh()}
	_, err := w.p.CreateOrg(w.admin, f.org)
	check(t, err)
	s, err := w.p.CreateSpace(w.admin, f.org, "s"+f.org)
	check(t, err)
	f.space = s.Name
	f.app, err = w.p.CreateApp(w.admin, platform.NewApp{Name: f.org, Org: f.org})
	check(t, err)
	w.deploy(t, f)
	w.deploy(t, f)
	f.victim = w.person(t, "member@example.com")
	_, err = w.p.SetMember(w.admin, f.org, "", f.victim, stead.RoleDeveloper)
	check(t, err)
	_, err = w.p.SetMember(w.admin, f.org, f.space, f.victim, stead.RoleDeveloper)
	check(t, err)
	_, err = w.p.SetCollaborator(w.admin, string(f.app.ID), f.victim, stead.RoleDeveloper)
	check(t, err)
	_, err = w.p.AddDomain(w.admin, string(f.app.ID), f.org+".example.org")
	check(t, err)
	f.staging, err = w.p.CreateApp(w.admin, platform.NewApp{Name: "p" + f.org, Org: f.org})
	check(t, err)
	w.pipeline(t, f)
	d, err := w.p.AddDrain(w.admin, string(f.app.ID), stead.NewDrain{URL: "https://logs.example.com/" + f.org})
	check(t, err)
	c, err := w.p.AddCertificate(w.admin, string(f.app.ID), certificate(t, f.org+".example.org"))
	check(t, err)
	f.drain, f.cert = d.ID, c.ID
	k, err := w.p.AddSSHKey(w.admin, newKey())
	check(t, err)
	a, err := w.p.CreateToken(w.admin, "other", stead.ScopeAll, time.Hour)
	check(t, err)
	f.key, f.auth = k.ID, a.ID
	return f
}

// pipeline makes one of the app and another, and promotes.
func (w *world) pipeline(t *testing.T, f *tenant) {
	t.Helper()
	p, err := w.p.CreatePipeline(w.admin, f.org, f.org)
	check(t, err)
	_, err = w.p.SetPipelineApp(w.admin, string(p.ID), string(f.app.ID), stead.StageStaging)
	check(t, err)
	_, err = w.p.SetPipelineApp(w.admin, string(p.ID), string(f.staging.ID), stead.StageProduction)
	check(t, err)
	made, err := w.p.Promote(w.admin, string(p.ID), stead.NewPromotion{From: string(f.app.ID)})
	check(t, err)
	f.pipeline, f.promotion = p.ID, made.ID
}

// certificate makes one of a host that signed itself.
func certificate(t *testing.T, host string) stead.NewCertificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	like := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &key.PublicKey, key)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return stead.NewCertificate{Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))}
}

// person makes a user, once, and returns the address.
func (w *world) person(t *testing.T, email string) string {
	t.Helper()
	if _, ok := w.people[email]; !ok {
		_, err := w.p.CreateUser(w.admin, email, "", password, false)
		check(t, err)
		first, err := w.p.Login(context.Background(), email, password, "test")
		check(t, err)
		w.people[email] = first.Secret
	}
	return email
}

// deploy gives the app a build, a live release and an instance.
func (w *world) deploy(t *testing.T, f *tenant) {
	t.Helper()
	sys, ref := stead.WithActor(context.Background(), stead.System), string(f.app.ID)
	_, err := w.p.Push(w.admin, ref, stead.Source{Kind: stead.SourceImage, Image: "docker.io/library/hello:1"})
	check(t, err)
	job, err := w.p.ClaimBuild(sys, "test", time.Minute)
	check(t, err)
	for job.Build.AppID != f.app.ID {
		_, err = w.p.FinishBuild(sys, job.Build.ID, "test", platform.BuildOutcome{}, stead.Precondition("not wanted", "none"))
		check(t, err)
		job, err = w.p.ClaimBuild(sys, "test", time.Minute)
		check(t, err)
	}
	image := stead.Image{Ref: "apps/" + ref + "@sha256:" + strings.Repeat("0", 64), Digest: "sha256:" + strings.Repeat("0", 64), Size: 1000,
		Processes: map[string]stead.Command{"web": stead.Shell("serve"), "release": stead.Shell("migrate")}}
	done, err := w.p.FinishBuild(sys, job.Build.ID, "test", platform.BuildOutcome{Pack: "image", Image: image}, nil)
	check(t, err)
	r, err := w.p.Release(w.admin, ref, done.Release)
	check(t, err)
	check(t, w.p.MarkRelease(sys, r.ID, stead.ReleaseReleasing))
	check(t, w.p.MarkRelease(sys, r.ID, stead.ReleaseRolling))
	check(t, w.p.ReleaseLive(sys, r.ID))
	check(t, w.p.ReportInstances(sys, f.app.ID, []stead.Instance{{Name: "web.1", AppID: f.app.ID, Process: "web", Release: r.Version,
		State: stead.InstanceUp, Size: stead.DefaultSize, Region: stead.DefaultName, Since: time.Now(), Ref: "x." + ref}}))
	f.build = done.ID
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

// path fills a route's parameters with what the tenant has.
func (f *tenant) path(r route) string {
	known := map[string]string{"app": string(f.app.ID), "user": "~", "key": string(f.key), "token": string(f.auth), "type": "web", "dyno": "web.1",
		"release": "1", "slug": string(f.build), "build": string(f.build), "domain": f.org + ".example.org", "team": f.org, "space": f.space,
		"member": f.victim, "collaborator": f.victim, "region": stead.DefaultName, "size": "Standard-1X", "stack": stackName, "feature": "preboot",
		"generation": "cedar", "pipeline": string(f.pipeline), "drain": string(f.drain), "endpoint": string(f.cert), "promotion": string(f.promotion),
		"coupling": idOf("coupling", string(f.pipeline), string(f.app.ID))}
	segments := strings.Split(r.Path, "/")
	for i, s := range segments {
		if name := parameter(s); name != "" {
			segments[i] = "x"
			if v, ok := known[name]; ok {
				segments[i] = v
			}
		}
	}
	return strings.Join(segments, "/")
}

// ask makes a valid request of the route with a token.
func (w *world) ask(r route, f *tenant, token string) *httptest.ResponseRecorder {
	if r.Method+" "+r.Path == "DELETE /apps/{app}/builds/{build}" { // one that is not done
		b, err := w.p.Push(w.admin, string(f.app.ID), stead.Source{Kind: stead.SourceImage, Image: "docker.io/library/hello:1"})
		if err != nil {
			panic(err)
		}
		f.build = b.ID
	}
	body := ""
	if b := w.body(r, f); b != nil {
		data, err := json.Marshal(b)
		if err != nil {
			panic(err)
		}
		body = string(data)
	}
	return w.send(r.Method, f.path(r), body, token, nil)
}

func (w *world) send(method, path, body, token string, header http.Header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, Prefix+path, strings.NewReader(body))
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	for k, v := range header {
		req.Header[k] = v
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, req)
	return rec
}

// body is a valid body for the routes that want one.
func (w *world) body(r route, f *tenant) any {
	cert := func(host string) object {
		c := certificate(w.t, host)
		return object{"certificate_chain": c.Chain, "private_key": c.Key}
	}
	web := object{"type": "web", "quantity": "+1", "size": "Standard-2X"}
	bodies := map[string]any{
		"PATCH /account": object{"name": "Ada"}, "PATCH /users/{user}": object{"name": "Ada"}, "POST /account/keys": object{"public_key": newKey()},
		"POST /oauth/authorizations":          object{"description": "ci", "scope": []string{"read"}, "expires_in": 60},
		"PATCH /oauth/authorizations/{token}": object{"description": "renamed"},
		"POST /apps":                          object{"name": fresh()}, "POST /teams/apps": object{"name": fresh(), "team": f.org},
		"PATCH /apps/{app}": object{"maintenance": true}, "POST /filters/apps": object{"in": object{"id": []stead.ID{f.app.ID}}},
		"PATCH /teams/apps/{app}": object{"owner": f.org}, "PATCH /apps/{app}/config-vars": object{"A": "1", "B": nil},
		"PATCH /apps/{app}/formation": object{"updates": []object{web}}, "PATCH /apps/{app}/formation/{type}": object{"quantity": 2},
		"POST /apps/{app}/dynos":        object{"command": "bash", "attach": true, "env": object{"COLUMNS": 80, "LINES": 24}},
		"POST /apps/{app}/dynos/{dyno}": object{"command": "bash"}, "POST /apps/{app}/log-sessions": object{"lines": 10, "tail": true},
		"POST /apps/{app}/releases": object{"release": "1"}, "POST /apps/{app}/domains": object{"hostname": fresh() + ".example.com", "sni_endpoint": nil},
		"PATCH /apps/{app}/features/{feature}": object{"enabled": true}, "POST /teams": object{"name": fresh()},
		"PUT /teams/{team}/members": object{"email": f.victim, "role": "admin"}, "POST /teams/{team}/members": object{"email": f.victim, "role": "member"},
		"PATCH /teams/{team}/members": object{"email": f.victim, "role": "viewer"}, "PUT /teams/{team}/invitations": object{"email": f.victim, "role": "member"},
		"POST /spaces":                           object{"name": fresh(), "team": f.org},
		"PATCH /spaces/{space}/members/{member}": object{"permissions": []object{{"name": "create_apps"}}},
		"POST /apps/{app}/collaborators":         object{"user": f.victim}, "POST /teams/apps/{app}/collaborators": object{"user": f.victim, "permissions": []string{"view", "deploy"}},
		"POST /pipelines": object{"name": fresh(), "owner": object{"id": f.org, "type": "team"}}, "PATCH /pipelines/{pipeline}": object{"name": fresh()},
		"POST /pipeline-couplings":             object{"app": f.staging.ID, "pipeline": f.pipeline, "stage": "staging"},
		"PATCH /pipeline-couplings/{coupling}": object{"stage": "production"},
		"POST /pipeline-promotions": object{"pipeline": object{"id": f.pipeline}, "source": object{"app": object{"id": f.app.ID}},
			"targets": []object{{"app": object{"id": f.staging.ID}}}},
		"POST /apps/{app}/log-drains": object{"url": "https://logs.example.com/" + fresh()}, "POST /apps/{app}/sni-endpoints": cert(f.org + ".example.org"),
		"PATCH /apps/{app}/sni-endpoints/{endpoint}": cert(f.org + ".example.org"), "PATCH /apps/{app}/domains/{domain}": object{"sni_endpoint": f.cert},
		"PATCH /teams/apps/{app}/collaborators/{collaborator}": object{"permissions": []string{"view"}},
	}
	if r.Method+" "+r.Path == "POST /apps/{app}/builds" {
		return object{"source_blob": object{"url": w.uploaded(f.token), "version": "v1"}}
	}
	return bodies[r.Method+" "+r.Path]
}

// uploaded puts a source and returns its URL.
func (w *world) uploaded(token string) string {
	rec := w.send("POST", "/sources", "", token, nil)
	var s struct {
		SourceBlob struct {
			Put string `json:"put_url"`
			Get string `json:"get_url"`
		} `json:"source_blob"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil {
		panic(err)
	}
	_, path, _ := strings.Cut(s.SourceBlob.Put, Prefix)
	if put := w.send("PUT", path, "tar", "", nil); put.Code != http.StatusOK && token != "" {
		panic(put.Body.String())
	}
	return s.SourceBlob.Get
}
