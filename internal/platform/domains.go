package platform

import (
	"context"
	"errors"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// maxDomains and maxRoutes are how many an app may have.
const (
	maxDomains = 500
	maxRoutes  = 1000
)

// Domains returns the domains of an app, the platform's first.
func (p *Platform) Domains(ctx context.Context, ref string) (out []stead.Domain, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		if out, err = w.Domains(a.ID); err != nil {
			return err
		}
		certs, err := w.Tx.Certificates(a.ID)
		if err != nil {
			return err
		}
		own, err := w.Tx.Certificates("")
		for i := range out {
			out[i].Certificate = certificateSource(out[i], append(certs, own...), p)
		}
		return err
	})
	return out, err
}

// AddDomain makes an app answer for a host, and routes "/" of it to web. A host
// has one app on the whole platform; a wildcard and the hosts it covers belong
// to one org.
func (p *Platform) AddDomain(ctx context.Context, ref, host string) (d stead.Domain, err error) {
	host = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(host)), ".")
	if err := p.checkHost(host); err != nil {
		return d, err
	}
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		have, err := w.Domains(a.ID)
		if err != nil {
			return err
		}
		if len(have) >= maxDomains {
			return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 500 domains already", Hint: "remove one, or use a wildcard"}
		}
		if err := w.coveredByOther(a, host); err != nil {
			return err
		}
		if err := w.addDomain(a, host, false); err != nil {
			return taken(err, "the host "+host+" belongs to an app already", "remove it there first, or use another")
		}
		w.wake(TopicTLS)
		if err := w.intended("domain.add", &a, map[string]any{"host": host}); err != nil {
			return err
		}
		d, err = w.DomainByHost(host)
		return err
	})
	return d, err
}

// checkHost refuses what is no host name, and the platform's own ones.
func (p *Platform) checkHost(host string) error {
	if err := stead.CheckHost("host", host); err != nil {
		return err
	}
	base := strings.TrimPrefix(host, "*.")
	if base == p.set.Domain || strings.HasSuffix(base, "."+p.set.Domain) {
		return stead.Invalid("host", "hosts under "+p.set.Domain+" are given by the platform", "rename the app to change its own, or use a domain that you own")
	}
	return nil
}

// coveredByOther refuses a host under a wildcard of another org, and a wildcard
// over a host of another org: either would take requests that are not its own.
func (w *work) coveredByOther(a store.App, host string) error {
	_, parent, _ := strings.Cut(host, ".")
	var near []stead.Domain
	if strings.HasPrefix(host, "*.") {
		below, err := w.DomainsBelow(parent)
		if err != nil {
			return err
		}
		near = below
	} else if d, err := w.DomainByHost("*." + parent); err == nil {
		near = append(near, d)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, d := range near {
		other, err := w.AppByID(d.AppID)
		if err != nil {
			return err
		}
		if other.OrgID != a.OrgID {
			return stead.Conflict("the host "+host+" overlaps a domain of another org", "ask its owner to remove that one, or use another")
		}
	}
	return nil
}

// RemoveDomain removes a domain of an app with its routes. The one under the
// platform's domain stays as long as the app.
func (p *Platform) RemoveDomain(ctx context.Context, ref, host string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		d, err := w.domain(a, host)
		if err != nil {
			return err
		}
		if d.Platform {
			return stead.Precondition("the host "+d.Host+" comes with the app and cannot be removed", "rename the app to change it")
		}
		if err := w.DeleteDomain(d.ID); err != nil {
			return err
		}
		w.wake(TopicTLS)
		return w.intended("domain.remove", &a, map[string]any{"host": d.Host})
	})
}

// domain returns the app's domain of that host or ID.
func (w *work) domain(a store.App, host string) (stead.Domain, error) {
	all, err := w.Domains(a.ID)
	if err != nil {
		return stead.Domain{}, err
	}
	for _, d := range all {
		if d.Host == strings.ToLower(host) || string(d.ID) == host {
			return d, nil
		}
	}
	return stead.Domain{}, stead.NotFound("domain", host)
}
