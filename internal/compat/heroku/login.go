package heroku

import (
	"cmp"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// The browser's login, as the CLI does it: POST /auth names two URLs; a person
// opens the one and logs in; the CLI waits at the other, with a secret of its
// own, until that has happened.
const (
	loginLife = 10 * time.Minute
	waitLimit = 50 * time.Second // of one poll; the CLI asks again
)

// pending is one login on its way.
type pending struct {
	description string
	cli         string // the secret that the CLI waits with
	mu          sync.Mutex
	done        chan struct{} // closed when token is there
	token       string
}

func (s *server) login(w http.ResponseWriter, r *http.Request, path string) {
	kind, secret, _ := strings.Cut(path, "/")
	switch {
	case path == "" && r.Method == http.MethodPost:
		s.beginLogin(w, r)
	case kind == "browser":
		s.page(w, r, secret)
	case kind == "cli" && r.Method == http.MethodGet:
		s.awaitLogin(w, r, secret)
	default:
		s.refuse(w, r, &stead.Error{Kind: stead.KindNotFound, Msg: "there is nothing here", Hint: "run heroku login"})
	}
}

func (s *server) beginLogin(w http.ResponseWriter, r *http.Request) {
	var in struct{ Description string }
	c := &call{server: s, w: w, r: r, ctx: r.Context()}
	if err := c.decode(&in); err != nil {
		c.fail(err)
		return
	}
	p := &pending{description: cmp.Or(in.Description, "Heroku CLI"), done: make(chan struct{})}
	browser, err := s.tickets.issue(stead.Actor{}, p, loginLife, false)
	if err != nil {
		c.fail(err)
		return
	}
	if p.cli, err = s.tickets.issue(stead.Actor{}, p, loginLife, false); err != nil {
		c.fail(err)
		return
	}
	c.write(http.StatusOK, object{"browser_url": "/auth/browser/" + browser, "cli_url": "/auth/cli/" + browser, "token": p.cli})
}

// awaitLogin waits until the person has logged in, and gives the token once.
func (s *server) awaitLogin(w http.ResponseWriter, r *http.Request, secret string) {
	_, p, ok := use[*pending](s.tickets, secret)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c := &call{server: s, w: w, r: r, ctx: r.Context()}
	if !ok || token != p.cli {
		c.fail(stead.NotFound("login", "of this URL"))
		return
	}
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	select {
	case <-r.Context().Done():
		return
	case <-limit.C:
		c.write(http.StatusGatewayTimeout, fault{ID: "timeout", Message: "Nobody has logged in yet."})
		return
	case <-p.done:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.write(http.StatusOK, object{"access_token": p.token})
}

// page shows the form, and takes it.
func (s *server) page(w http.ResponseWriter, r *http.Request, secret string) {
	_, p, ok := use[*pending](s.tickets, secret)
	view := form{Title: "This login is over", Text: "Run heroku login again."}
	status := http.StatusNotFound
	if ok {
		view, status = form{Title: "Log in to Stead", Text: "for " + p.description, Ask: true}, http.StatusOK
	}
	if ok && r.Method == http.MethodPost {
		view, status = s.finishLogin(w, r, p, view)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = template.Must(template.New("page").Parse(loginPage)).Execute(w, view) // the browser is gone: nobody to tell
}

func (s *server) finishLogin(w http.ResponseWriter, r *http.Request, p *pending, view form) (form, int) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != "" {
		return form{Title: "You are logged in", Text: "You may close this window and go back to the terminal."}, http.StatusOK
	}
	view.Email = r.PostFormValue("email")
	t, err := s.p.Login(r.Context(), view.Email, r.PostFormValue("password"), p.description)
	if err != nil {
		e, ok := errors.AsType[*stead.Error](err)
		if !ok {
			s.log.ErrorContext(r.Context(), "login failed", "error", err)
			e = &stead.Error{Kind: stead.KindInternal, Msg: "the platform failed", Hint: "try again"}
		}
		view.Error = sentence(e)
		status, _ := faultOf(e.Kind)
		return view, status
	}
	p.token = t.Secret
	close(p.done)
	return form{Title: "You are logged in", Text: "You may close this window and go back to the terminal."}, http.StatusOK
}

type form struct {
	Title, Text, Email, Error string
	Ask                       bool
}

const loginPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:15vh auto;padding:0 1rem}h1{font-size:1.3rem}
label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box;padding:.5rem;font:inherit}
button{padding:.5rem 1rem;font:inherit}[role=alert]{color:#a00}</style>
<main><h1>{{.Title}}</h1><p>{{.Text}}</p>
{{if .Ask}}<form method="post">{{if .Error}}<p role="alert">{{.Error}}</p>{{end}}
<label>E-mail <input name="email" type="email" value="{{.Email}}" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form>{{end}}</main></html>
`
