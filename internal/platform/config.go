package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// owner binds what is sealed to its app: moved to another, it does not open.
func owner(app stead.ID) []byte { return []byte("app/" + string(app)) }

// seal returns the config in its sealed form; nil if it is empty.
func (p *Platform) seal(app stead.ID, c stead.Config) ([]byte, error) {
	if len(c) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	if p.d.Keys == nil {
		return nil, stead.Unavailable("the platform has no master key", "start it with one", nil)
	}
	return p.d.Keys.Seal(plain, owner(app))
}

func (p *Platform) unseal(app stead.ID, sealed []byte) (stead.Config, error) {
	c := stead.Config{}
	if len(sealed) == 0 {
		return c, nil
	}
	if p.d.Keys == nil {
		return nil, stead.Unavailable("the platform has no master key", "start it with one", nil)
	}
	plain, err := p.d.Keys.Open(sealed, owner(app))
	if err != nil {
		return nil, fmt.Errorf("open config of app %s: %w", app, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, fmt.Errorf("decode config of app %s: %w", app, err)
	}
	return c, nil
}

// Config returns an app's config, values included: it needs ActSecret.
func (p *Platform) Config(ctx context.Context, ref string) (c stead.Config, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActSecret)
		if err != nil {
			return err
		}
		c, err = p.unseal(a.ID, a.Config)
		return err
	})
	return c, err
}

// ReleaseConfig returns the config that a release runs with (version 0: the one
// that serves), values included: it needs ActSecret.
func (p *Platform) ReleaseConfig(ctx context.Context, ref string, version int) (c stead.Config, err error) {
	err = p.view(ctx, func(w *work) error {
		if _, err := w.app(ref, stead.ActSecret); err != nil {
			return err
		}
		a, r, err := w.versioned(ref, version)
		if err != nil {
			return err
		}
		c, err = p.unseal(a.ID, r.Config)
		return err
	})
	return c, err
}

// SetConfig sets and (nil value) removes keys in one release. No change makes
// no release: the returned Release is then the current one. Before the first
// build there is no release yet: Version 0.
func (p *Platform) SetConfig(ctx context.Context, ref string, change map[string]*string) (c stead.Config, out stead.Release, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		was, err := p.unseal(a.ID, a.Config)
		if err != nil {
			return err
		}
		if c, err = patched(was, change); err != nil {
			return err
		}
		base, err := w.base(a)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if out = base.Release; maps.Equal(was, c) {
			return nil
		}
		if a.Config, err = p.seal(a.ID, c); err != nil {
			return err
		}
		out, err = w.saveConfig(&a, base, was, c)
		return err
	})
	return c, out, err
}

func patched(was stead.Config, change map[string]*string) (stead.Config, error) {
	c := maps.Clone(was)
	for k, v := range change {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = *v
	}
	return c, c.Check()
}

// saveConfig writes the app's new config and, if there is an image, a release.
func (w *work) saveConfig(a *store.App, base store.Release, was, c stead.Config) (stead.Release, error) {
	set, unset := differ(was, c)
	a.UpdatedAt = w.now
	if err := w.SaveApp(*a); err != nil {
		return stead.Release{}, err
	}
	if err := w.event("config.set", a, map[string]any{"set": set, "unset": unset}); err != nil {
		return stead.Release{}, err
	}
	w.wake(TopicApps)
	if base.ID == "" {
		return stead.Release{}, nil
	}
	r, err := w.makeRelease(a, store.Release{
		Release: stead.Release{Image: base.Image, BuildID: base.BuildID, Description: describe(set, unset), ConfigKeys: keysOf(c)},
		Config:  a.Config,
	})
	return r.Release, err
}

func keysOf(c stead.Config) []string { return slices.Sorted(maps.Keys(c)) }

// differ returns the keys that are new or changed, and those that are gone.
func differ(was, c stead.Config) (set, unset []string) {
	set, unset = []string{}, []string{}
	for _, k := range keysOf(c) {
		if v, ok := was[k]; !ok || v != c[k] {
			set = append(set, k)
		}
	}
	for _, k := range keysOf(was) {
		if _, ok := c[k]; !ok {
			unset = append(unset, k)
		}
	}
	return set, unset
}

func describe(set, unset []string) string {
	var parts []string
	if len(set) > 0 {
		parts = append(parts, "Set config "+listed(set))
	}
	if len(unset) > 0 {
		parts = append(parts, "Unset config "+listed(unset))
	}
	return strings.Join(parts, ", ")
}

// listed joins a few names, and counts the rest.
func listed(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
