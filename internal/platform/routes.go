package platform

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// Routes returns the routes of an app, by host and path.
func (p *Platform) Routes(ctx context.Context, ref string) (out []stead.Route, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.Routes(a.ID)
		return err
	})
	return out, err
}

// AddRoute sends requests for a host of the app, below a path, to a process.
// Host "" is the platform's, Path "" is "/", Process "" is web.
func (p *Platform) AddRoute(ctx context.Context, ref string, r stead.Route) (out stead.Route, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if out, err = w.newRoute(a, r); err != nil {
			return err
		}
		if out.Policy, out.Passwords, err = w.policy(a, r.Policy, nil); err != nil {
			return err
		}
		have, err := w.Routes(a.ID)
		if err != nil {
			return err
		}
		if len(have) >= maxRoutes {
			return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 1000 routes already", Hint: "remove one that is not needed"}
		}
		if err := w.InsertRoute(out); err != nil {
			return taken(err, "there is a route for "+out.Host+out.Path+" already", "remove it first")
		}
		return w.intended("route.add", &a, map[string]any{"host": out.Host, "path": out.Path, "process": out.Process})
	})
	return out, err
}

func (w *work) newRoute(a store.App, r stead.Route) (stead.Route, error) {
	if r.Host == "" {
		r.Host = a.Host
	}
	if r.Path == "" {
		r.Path = "/"
	}
	if err := stead.CheckPath("path", r.Path); err != nil {
		return r, err
	}
	if r.Path != "/" {
		r.Path = strings.TrimSuffix(r.Path, "/")
	}
	d, err := w.domain(a, r.Host)
	if err != nil {
		return r, err
	}
	if r.Process, err = w.routable(a, r.Process); err != nil {
		return r, err
	}
	return stead.Route{ID: stead.NewID(w.now), AppID: a.ID, App: a.Name, Host: d.Host, Path: r.Path, Process: r.Process, StripPrefix: r.StripPrefix}, nil
}

// UpdateRoute changes what is not nil in the patch.
func (p *Platform) UpdateRoute(ctx context.Context, ref string, id stead.ID, c stead.RoutePatch) (out stead.Route, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if out, err = w.route(a, id); err != nil {
			return err
		}
		if c.Process != nil {
			if out.Process, err = w.routable(a, *c.Process); err != nil {
				return err
			}
		}
		if c.StripPrefix != nil {
			out.StripPrefix = *c.StripPrefix
		}
		if c.Policy != nil {
			if out.Policy, out.Passwords, err = w.policy(a, *c.Policy, out.Passwords); err != nil {
				return err
			}
		}
		if err := w.SaveRoute(out); err != nil {
			return err
		}
		return w.intended("route.update", &a, map[string]any{"host": out.Host, "path": out.Path, "process": out.Process, "policy": out.Policy})
	})
	return out, err
}

// route returns a route of the app, by ID.
func (w *work) route(a store.App, id stead.ID) (stead.Route, error) {
	all, err := w.Routes(a.ID)
	if err != nil {
		return stead.Route{}, err
	}
	for _, r := range all {
		if r.ID == id {
			return r, nil
		}
	}
	return stead.Route{}, stead.NotFound("route", string(id))
}

// policy checks a route's policy and hashes its passwords; a user without a new
// one keeps that of before.
func (w *work) policy(a store.App, p stead.RoutePolicy, before map[string]string) (stead.RoutePolicy, map[string]string, error) {
	if err := p.Check(); err != nil {
		return p, nil, err
	}
	for _, d := range p.Destinations {
		if _, err := w.routable(a, d.Process); err != nil {
			return p, nil, err
		}
	}
	if len(p.BasicAuth) == 0 {
		return p, nil, nil
	}
	hashes := map[string]string{}
	p.BasicAuth = slices.Clone(p.BasicAuth)
	for i, c := range p.BasicAuth {
		if c.Password == "" {
			if hashes[c.User] = before[c.User]; hashes[c.User] == "" {
				return p, nil, stead.Invalid("basic_auth", "the user "+c.User+" has no password", "give one")
			}
			continue
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(c.Password), bcrypt.DefaultCost)
		if err != nil {
			return p, nil, fmt.Errorf("hash the password of a route: %w", err)
		}
		hashes[c.User], p.BasicAuth[i].Password = string(hash), ""
	}
	return p, hashes, nil
}

// routable returns the type of a process that requests can be sent to.
func (w *work) routable(a store.App, process string) (string, error) {
	if process == "" {
		process = stead.ProcessWeb
	}
	if err := stead.CheckProcessType("process", process); err != nil {
		return "", err
	}
	all, err := w.processes(a)
	if err == nil {
		_, err = find(all, process)
	}
	return process, err
}

// Pages returns the app's own pages.
func (p *Platform) Pages(ctx context.Context, ref string) (out stead.Pages, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.Pages(a.ID)
		return err
	})
	return out, err
}

// SetPages replaces the app's own pages; an empty one is the router's.
func (p *Platform) SetPages(ctx context.Context, ref string, pages stead.Pages) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := pages.Check(); err != nil {
			return err
		}
		if err := w.SavePages(a.ID, pages); err != nil {
			return err
		}
		return w.intended("app.pages", &a, map[string]any{"maintenance": len(pages.Maintenance), "error": len(pages.Error)})
	})
}

// RemoveRoute removes a route of an app.
func (p *Platform) RemoveRoute(ctx context.Context, ref string, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := w.DeleteRoute(a.ID, id); err != nil {
			return orElse(err, stead.NotFound("route", string(id)))
		}
		return w.intended("route.remove", &a, map[string]any{"route": id})
	})
}
