package platform

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
)

// Check is one line of Status: a part of the platform and how it does.
type Check struct {
	Name   string `json:"name"` // "database", "engine default", "router", "builder", "disk"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was seen; if not OK, why and what to try
}

// Status is how the platform does, for people and for load balancers.
type Status struct {
	Version string  `json:"version"`
	OK      bool    `json:"ok"`
	Checks  []Check `json:"checks"`
}

// checkLimit is how long one check may take.
const checkLimit = 5 * time.Second

type checks struct {
	mu  sync.Mutex
	all []namedCheck
}

type namedCheck struct {
	name string
	run  func(context.Context) (string, error)
}

// AddCheck registers a check that Status runs, at wiring time. It returns what
// it saw, or why the part does not work.
func (p *Platform) AddCheck(name string, check func(context.Context) (string, error)) {
	p.checks.mu.Lock()
	defer p.checks.mu.Unlock()
	p.checks.all = append(p.checks.all, namedCheck{name, check})
}

// Status runs all checks at once. Any authenticated actor may see it.
func (p *Platform) Status(ctx context.Context) (Status, error) {
	if stead.ActorFrom(ctx) == (stead.Actor{}) {
		return Status{}, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "you are not logged in", Hint: "run stead login, or send a token"}
	}
	p.checks.mu.Lock()
	all := append([]namedCheck{{"database", p.checkDatabase}}, p.checks.all...)
	p.checks.mu.Unlock()
	out := Status{Version: p.set.Version, OK: true, Checks: make([]Check, len(all))}
	var wait sync.WaitGroup
	for i, c := range all {
		wait.Go(func() { out.Checks[i] = c.check(ctx) })
	}
	wait.Wait()
	for _, c := range out.Checks {
		out.OK = out.OK && c.OK
	}
	return out, nil
}

func (c namedCheck) check(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	detail, err := c.run(ctx)
	if err != nil {
		detail = strings.TrimSpace(err.Error())
	}
	return Check{Name: c.name, OK: err == nil, Detail: detail}
}

func (p *Platform) checkDatabase(ctx context.Context) (string, error) {
	if p.d.Store == nil {
		return "", stead.Unavailable("the platform has no database", "start it with one", nil)
	}
	return p.d.Store.Name(), p.d.Store.Ping(ctx)
}

// AuthorizeRepository decides whether the actor may pull from or push to an
// image repository, and returns its app. Repositories are "apps/<app id>", and
// "<app reference>" for docker push.
func (p *Platform) AuthorizeRepository(ctx context.Context, repository string, push bool) (out stead.App, err error) {
	ref, act := repository, stead.ActRead
	if id, ok := strings.CutPrefix(repository, "apps/"); ok && stead.IsID(id) {
		ref = id
	}
	if push {
		act = stead.ActWrite
	}
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, act)
		if err == nil {
			out = p.show(a)
		}
		return err
	})
	return out, err
}
