package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// NewApp is the wish for an app. Empty fields have defaults; an empty Name is
// made up ("quiet-river-4821").
type NewApp struct{ Name, Org, Space, Region string }

// AppPatch changes what is not nil.
type AppPatch struct {
	Name        *string `json:"name,omitempty"`
	Maintenance *bool   `json:"maintenance,omitempty"`
}

// CreateApp makes an app with a web process and its domain under the
// platform's. With neither org nor space given, it goes to the default space,
// or if the actor may not write there, to the only one where it may.
func (p *Platform) CreateApp(ctx context.Context, n NewApp) (out stead.App, err error) {
	if n.Name == "" {
		n.Name = madeUpName()
	}
	if err := stead.CheckName("name", n.Name); err != nil {
		return out, err
	}
	region, err := p.region(n.Region)
	if err != nil {
		return out, err
	}
	err = p.change(ctx, func(w *work) error {
		s, err := w.home(n.Org, n.Space)
		if err != nil {
			return err
		}
		a, err := w.createApp(s, n.Name, region)
		out = p.show(a)
		return err
	})
	return out, err
}

// home returns the space that a new app goes to.
func (w *work) home(org, space string) (stead.Space, error) {
	if org != "" || space != "" {
		return w.space(org, space, stead.ActWrite)
	}
	s, err := w.space("", "", stead.ActWrite)
	if err == nil {
		return s, nil
	}
	if err := w.loadMembers(); err != nil {
		return s, err
	}
	all, err2 := w.Spaces()
	if err2 != nil {
		return s, err2
	}
	var open []stead.Space
	for _, s := range all {
		if ok, err := w.may(stead.ActWrite, s.OrgID, s.ID); err != nil {
			return s, err
		} else if ok {
			open = append(open, s)
		}
	}
	switch {
	case len(open) == 1:
		return open[0], nil
	case len(open) > 1:
		return s, stead.Invalid("space", "there are several spaces that the app could go to", "say which with an org and a space, such as "+open[0].Org+"/"+open[0].Name)
	case stead.KindOf(err) == stead.KindForbidden:
		return s, err
	}
	return s, denied("there is no space where you may create an app", "ask an administrator to add you to an org as developer")
}

func (w *work) createApp(s stead.Space, name, region string) (store.App, error) {
	if limit := w.p.set.MaxApps; limit > 0 {
		n, err := w.CountApps(s.ID)
		if err != nil {
			return store.App{}, err
		}
		if n >= limit {
			return store.App{}, &stead.Error{Kind: stead.KindLimit, Msg: fmt.Sprintf("the space %s/%s has %d apps, as many as it may", s.Org, s.Name, n),
				Hint: "destroy one that is not needed, or ask an administrator for more"}
		}
	}
	a := store.App{App: stead.App{ID: stead.NewID(w.now), Name: name, SpaceID: s.ID, Space: s.Name, OrgID: s.OrgID, Org: s.Org,
		Region: region, CreatedAt: w.now, UpdatedAt: w.now}}
	if err := w.InsertApp(a); err != nil {
		return a, taken(err, "there is an app "+name+" in this space already, or it is still being removed", "choose another name, or wait a moment")
	}
	if err := w.InsertProcess(a.ID, stead.DefaultProcess(stead.ProcessWeb)); err != nil {
		return a, err
	}
	if err := w.platformDomain(&a); err != nil {
		return a, err
	}
	w.wake(TopicTLS)
	return a, w.intended("app.create", &a, map[string]any{"region": region, "space": s.Org + "/" + s.Name})
}

// platformDomain gives the app the first free of <name>, <name>-<space>,
// <name>-<space>-<org> and a made-up label under the platform's domain.
func (w *work) platformDomain(a *store.App) error {
	labels := []string{a.Name, a.Name + "-" + a.Space, a.Name + "-" + a.Space + "-" + a.Org}
	for range 5 {
		labels = append(labels, fmt.Sprintf("%s-%04d", a.Name, number(10_000)))
	}
	for _, l := range labels {
		if len(l) > 63 {
			continue
		}
		a.Host = l + "." + w.p.set.Domain
		err := w.addDomain(*a, a.Host, true)
		if err == nil {
			return w.SaveApp(*a)
		}
		if !errors.Is(err, store.ErrDuplicate) {
			return err
		}
	}
	return stead.Conflict("every host name for the app is taken", "choose another name")
}

func (w *work) addDomain(a store.App, host string, platform bool) error {
	d := stead.Domain{ID: stead.NewID(w.now), AppID: a.ID, Host: host, Platform: platform, CreatedAt: w.now, AutoTLS: true, HTTPSRedirect: stead.RedirectAuto}
	if err := w.InsertDomain(d); err != nil {
		return err
	}
	return w.InsertRoute(stead.Route{ID: stead.NewID(w.now), AppID: a.ID, Host: host, Path: "/", Process: stead.ProcessWeb})
}

// Regions returns the names of the regions there are.
func (p *Platform) Regions() []string {
	if len(p.d.Engines) == 0 {
		return []string{stead.DefaultName}
	}
	return slices.Sorted(maps.Keys(p.d.Engines))
}

func (p *Platform) region(name string) (string, error) {
	all := p.Regions()
	switch {
	case name == "" && (len(all) == 1 || !slices.Contains(all, stead.DefaultName)):
		return all[0], nil
	case name == "":
		return stead.DefaultName, nil
	case slices.Contains(all, name):
		return name, nil
	}
	return "", stead.Invalid("region", "there is no such region", "use one of "+strings.Join(all, ", "))
}

// show returns what people see of an app, with its addresses.
func (p *Platform) show(a store.App) stead.App {
	out, ref := a.App, a.Name
	if a.Org != stead.DefaultName || a.Space != stead.DefaultName {
		ref = path(a)
	}
	out.URL = p.set.AppURL(a.Host)
	out.Routed = a.RoutedAt >= a.Wanted
	out.Settled = out.Routed && a.SettledAt >= a.Wanted
	out.GitURL = strings.TrimSuffix(p.set.APIURL, "/") + "/git/" + ref + ".git"
	if p.set.SSHHost != "" {
		out.SSHURL = "ssh://git@" + p.set.SSHHost + "/" + ref + ".git"
	}
	return out
}

// Apps returns the apps that the actor can see, by name; org and space narrow.
func (p *Platform) Apps(ctx context.Context, org, space string) (out []stead.App, err error) {
	err = p.view(ctx, func(w *work) error {
		if org != "" || space != "" {
			if _, _, err := w.place(org, space); err != nil {
				return err
			}
		}
		if org == "" && space != "" {
			org = stead.DefaultName
		}
		all, err := w.Apps()
		if err != nil {
			return err
		}
		for _, a := range all {
			ok, err := w.sees(a)
			if err != nil {
				return err
			}
			if ok && a.DestroyedAt == nil && named(org, a.Org, a.OrgID) && named(space, a.Space, a.SpaceID) {
				out = append(out, p.show(a))
			}
		}
		return nil
	})
	return out, err
}

func named(ref, name string, id stead.ID) bool { return ref == "" || ref == name || ref == string(id) }

// App returns an app.
func (p *Platform) App(ctx context.Context, ref string) (out stead.App, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		out = p.show(a)
		return err
	})
	return out, err
}

// Authorize returns an app if the actor may act on it, for what begins now and
// acts later.
func (p *Platform) Authorize(ctx context.Context, ref string, act stead.Action) (out stead.App, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, act)
		if err == nil {
			out = p.show(a)
		}
		return err
	})
	return out, err
}

// UpdateApp renames an app, which moves its domain under the platform's, or
// turns its maintenance mode on or off.
func (p *Platform) UpdateApp(ctx context.Context, ref string, patch AppPatch) (out stead.App, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		data := map[string]any{}
		if m := patch.Maintenance; m != nil && *m != a.Maintenance {
			a.Maintenance, data["maintenance"] = *m, *m
		}
		if n := patch.Name; n != nil && *n != a.Name {
			data["name"], data["was"] = *n, a.Name
			if err := w.rename(&a, *n); err != nil {
				return err
			}
		}
		out = p.show(a)
		if len(data) == 0 {
			return nil
		}
		a.UpdatedAt = w.now
		if err := w.SaveApp(a); err != nil {
			return err
		}
		err = w.intended("app.update", &a, data)
		out = p.show(a)
		return err
	})
	return out, err
}

// rename changes the name and moves the domain with its routes.
func (w *work) rename(a *store.App, name string) error {
	if err := stead.CheckName("name", name); err != nil {
		return err
	}
	same, err := w.AppsNamed(a.Org, a.Space, name)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return stead.Conflict("there is an app "+name+" in this space already", "choose another name")
	}
	old, err := w.DomainByHost(a.Host)
	if err != nil {
		return fmt.Errorf("find domain of app: %w", err)
	}
	routes, err := w.Routes(a.ID)
	if err != nil {
		return err
	}
	was := a.Host
	if err := w.DeleteDomain(old.ID); err != nil {
		return err
	}
	a.Name = name
	if err := w.platformDomain(a); err != nil {
		return err
	}
	for _, r := range routes {
		if r.Host != was {
			continue
		}
		if r.Host = a.Host; r.Path == "/" { // made with the domain
			if err := w.replaceRoot(a.ID, r); err != nil {
				return err
			}
			continue
		}
		if err := w.InsertRoute(r); err != nil {
			return err
		}
	}
	return nil
}

// replaceRoot gives the root route of a new host what the old one's was.
func (w *work) replaceRoot(app stead.ID, r stead.Route) error {
	all, err := w.Routes(app)
	for _, fresh := range all {
		if fresh.Host == r.Host && fresh.Path == "/" {
			r.ID = fresh.ID
			return w.SaveRoute(r)
		}
	}
	return err
}

// DestroyApp ends an app: it is out of sight and its hosts are free at once;
// the loops remove what runs, then its name is free.
func (p *Platform) DestroyApp(ctx context.Context, ref string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := w.abandon(a); err != nil {
			return err
		}
		if err := w.DeleteDomains(a.ID); err != nil {
			return err
		}
		a.DestroyedAt, a.UpdatedAt = &w.now, w.now
		if err := w.SaveApp(a); err != nil {
			return err
		}
		w.wake(TopicBuilds, TopicTasks)
		return w.intended("app.destroy", &a, nil)
	})
}

const destroyedReason = "the app was destroyed"

// abandon ends the builds and releases that are on the way. Tasks are ended by
// the loops, with their workloads.
func (w *work) abandon(a store.App) error {
	builds, err := w.OpenBuilds(a.ID)
	if err != nil {
		return err
	}
	for _, b := range builds {
		b.State, b.Reason, b.FinishedAt = stead.BuildCanceled, destroyedReason, &w.now
		if err := w.SaveBuild(b); err != nil {
			return err
		}
	}
	releases, err := w.OpenReleases(a.ID)
	if err != nil {
		return err
	}
	for _, r := range releases {
		r.State, r.Reason = stead.ReleaseFailed, destroyedReason
		if err := w.SaveReleaseState(r); err != nil {
			return err
		}
	}
	return nil
}

// madeUpName returns a name such as "quiet-river-4821".
func madeUpName() string {
	adjectives := []string{"amber", "bold", "brave", "bright", "calm", "clear", "cosy", "crisp", "early", "fair", "fresh", "gentle",
		"golden", "green", "keen", "kind", "late", "light", "lucky", "mild", "neat", "noble", "plain", "polar", "quick", "quiet",
		"rapid", "silent", "silver", "smooth", "snowy", "solid", "still", "sunny", "swift", "warm", "wild", "wise"}
	nouns := []string{"bay", "beach", "birch", "bloom", "breeze", "brook", "cliff", "cloud", "coast", "dawn", "delta", "dune", "field",
		"fjord", "forest", "garden", "glade", "grove", "harbour", "hill", "island", "lake", "leaf", "meadow", "moon", "moss", "oak",
		"peak", "pine", "pond", "rain", "reef", "ridge", "river", "shore", "spring", "star", "stone", "stream", "valley", "wave", "wood"}
	return fmt.Sprintf("%s-%s-%04d", adjectives[number(len(adjectives))], nouns[number(len(nouns))], number(10_000))
}

// number returns a random number below n.
func number(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0 // crypto/rand.Reader never fails (Go 1.24)
	}
	return int(v.Int64())
}
