// Package heroku opens the endpoint on the user's machine through which the
// official Heroku CLI talks to a Stead platform, and nothing else.
//
// The CLI is run unmodified, with variables that name the endpoint and a script
// that is loaded before it (guard.cjs). It never holds the platform's token: it
// has a secret of this one run, which the endpoint replaces.
package heroku

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// prefix is where a platform speaks Heroku's API.
const prefix = "/heroku"

// Headers by which the endpoint says how it is reached.
const (
	headerEndpoint   = "Stead-Endpoint"
	headerRendezvous = "Stead-Rendezvous"
)

// Endpoint is open until it is closed. It serves this machine alone.
type Endpoint struct {
	platform *url.URL
	secret   string // what the CLI holds instead of the token
	http     net.Listener
	meet     net.Listener // where one-off dynos are met
	server   *http.Server
	tasks    sync.WaitGroup
	stop     context.CancelFunc

	mu    sync.Mutex
	token string
}

// Open opens an endpoint for the platform at a URL, with a token of it; "" for
// nothing but logging in.
func Open(ctx context.Context, platform, token string) (*Endpoint, error) {
	u, err := url.Parse(platform)
	if err != nil {
		return nil, fmt.Errorf("platform's URL: %w", err)
	}
	e := &Endpoint{platform: u, secret: rand.Text() + rand.Text(), token: token}
	if e.http, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("open endpoint: %w", err)
	}
	if e.meet, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(fmt.Errorf("open endpoint: %w", err), e.http.Close())
	}
	ctx, e.stop = context.WithCancel(ctx)
	e.server = &http.Server{Handler: e.handler(), ReadHeaderTimeout: 20 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	e.tasks.Go(func() { _ = e.server.Serve(e.http) }) // ends by Close
	e.tasks.Go(func() { e.acceptAll(ctx) })
	return e, nil
}

// Close ends the endpoint and all that goes through it.
func (e *Endpoint) Close() error {
	e.stop()
	err := errors.Join(e.server.Close(), e.meet.Close())
	e.tasks.Wait()
	return err
}

// URL is the endpoint's, as http://127.0.0.1:41234.
func (e *Endpoint) URL() string { return "http://" + e.http.Addr().String() }

// Secret is what the CLI sends as its API key.
func (e *Endpoint) Secret() string { return e.secret }

// Token returns the platform's token: what Open was given, or what a login
// through the endpoint brought.
func (e *Endpoint) Token() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.token
}

func (e *Endpoint) setToken(t string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.token = t
}

// GitHost is the host of git remotes: a name that is never resolved, because
// git is told what it stands for.
func (e *Endpoint) GitHost() string { return GitHost(e.platform) }

// GitHost is the host of git remotes for a platform.
func GitHost(platform *url.URL) string { return "heroku." + platform.Host }

// Env are the variables that the CLI is run with. To log in, it must have no API
// key, and a place that is not the user's home for what it then keeps.
func (e *Endpoint) Env(f *Files, login bool) map[string]string {
	port := strconv.Itoa(e.meet.Addr().(*net.TCPAddr).Port)
	at := e.URL()
	env := map[string]string{"HEROKU_HOST": at, "HEROKU_LOGIN_HOST": at, "HEROKU_PARTICLEBOARD_URL": at, "HEROKU_STATUS_HOST": at,
		"HEROKU_BUILDPACK_REGISTRY_URL": at, "HEROKU_EXEC_URL": at, "HEROKU_DATA_HOST": "127.0.0.1", "HEROKU_POSTGRESQL_HOST": "127.0.0.1",
		"HEROKU_REDIS_HOST": "127.0.0.1", "HEROKU_GIT_HOST": e.GitHost(), "HEROKU_API_KEY": e.secret, "HEROKU_NETRC_WRITE": "true",
		"HEROKU_SKIP_NEW_VERSION_CHECK": "1", "DISABLE_TELEMETRY": "true", "STEAD_ENDPOINT": at, "STEAD_RENDEZVOUS": port,
		"NODE_OPTIONS": "--require=" + strconv.Quote(f.Guard), "GIT_CONFIG_GLOBAL": f.GitConfig}
	if login {
		env["HEROKU_API_KEY"], env["STEAD_HOME"] = "", f.dir
	}
	return env
}

// unset are the variables that must not reach the CLI: they would lead its
// requests elsewhere.
var unset = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HEROKU_HEADERS", "HEROKU_CLOUD",
	"HEROKU_API_TOKEN", "HEROKU_CI_WEBSOCKET_URL", "SSO_URL"}

// Environ returns base with the endpoint's variables.
func (e *Endpoint) Environ(base []string, f *Files, login bool) []string {
	env := e.Env(f, login)
	out := make([]string, 0, len(base)+len(env))
	for _, kv := range base {
		name, value, _ := strings.Cut(kv, "=")
		if name == "NODE_OPTIONS" && value != "" {
			env["NODE_OPTIONS"] += " " + value
			env["STEAD_NODE_OPTIONS"] = value
		}
		if _, ours := env[name]; !ours && !slices.Contains(unset, name) {
			out = append(out, kv)
		}
	}
	for k, v := range env {
		if v != "" {
			out = append(out, k+"="+v)
		}
	}
	return out
}

// handler passes requests on to the platform: those with the run's secret get
// the token; those to URLs that are secrets, and those that log in, need none.
func (e *Endpoint) handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:        e.rewrite,
		ModifyResponse: e.learn,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			refuse(w, http.StatusServiceUnavailable, "unavailable", "The platform at "+e.platform.Host+" does not answer: "+err.Error())
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.admits(r) {
			refuse(w, http.StatusUnauthorized, "unauthorized", "You are not logged in. Run stead heroku login, or stead login.")
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, id, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": id, "message": message}) // the CLI is gone: nobody to tell
}

func (e *Endpoint) admits(r *http.Request) bool {
	if e.mine(r) {
		return e.Token() != ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "streams", "uploads", "auth":
		return true
	}
	return loggingIn(r)
}

// mine reports whether the request carries the run's secret.
func (e *Endpoint) mine(r *http.Request) bool {
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, ok := r.BasicAuth(); ok {
		secret = password
	}
	return subtle.ConstantTimeCompare([]byte(secret), []byte(e.secret)) == 1
}

func loggingIn(r *http.Request) bool {
	_, _, basic := r.BasicAuth()
	return basic && r.Method == http.MethodPost && r.URL.Path == "/oauth/authorizations"
}

func (e *Endpoint) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = e.platform.Scheme, e.platform.Host
	p.Out.URL.Path = e.platform.Path + prefix + p.In.URL.Path
	if p.In.URL.RawPath != "" {
		p.Out.URL.RawPath = e.platform.Path + prefix + p.In.URL.RawPath
	}
	p.Out.Host = e.platform.Host
	p.Out.Header.Set(headerEndpoint, e.URL())
	p.Out.Header.Set(headerRendezvous, e.meet.Addr().String())
	if e.mine(p.In) {
		p.Out.Header.Set("Authorization", "Bearer "+e.Token())
	}
}

// learn takes the token out of a login's answer, and leaves the run's secret in
// its place.
func (e *Endpoint) learn(resp *http.Response) error {
	in := resp.Request
	browser := strings.HasPrefix(in.URL.Path, e.platform.Path+prefix+"/auth/cli/")
	basic := strings.HasPrefix(in.Header.Get("Authorization"), "Basic ") && strings.HasSuffix(in.URL.Path, "/oauth/authorizations")
	if !browser && !basic || resp.StatusCode >= 300 {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	var found struct {
		AccessToken json.RawMessage `json:"access_token"`
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return err
	}
	token := ""
	var nested struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(found.AccessToken, &token) != nil && json.Unmarshal(found.AccessToken, &nested) == nil {
		token = nested.Token
	}
	if token != "" {
		e.setToken(token)
		data = bytes.ReplaceAll(data, []byte(token), []byte(e.secret))
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	resp.ContentLength = int64(len(data))
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return nil
}
