package platform

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/store"
)

// maxCertificates is how many an app may have.
const maxCertificates = 500

// Certificates returns the certificates of an app.
func (p *Platform) Certificates(ctx context.Context, ref string) (out []stead.Certificate, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		all, err := w.Tx.Certificates(a.ID)
		out = bare(all)
		return err
	})
	return out, err
}

// PlatformCertificates returns the certificates of the platform's own hosts.
func (p *Platform) PlatformCertificates(ctx context.Context) (out []stead.Certificate, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.admin(); err != nil {
			return err
		}
		all, err := w.Tx.Certificates("")
		out = bare(all)
		return err
	})
	return out, err
}

func bare(all []store.Certificate) []stead.Certificate {
	out := make([]stead.Certificate, len(all))
	for i, c := range all {
		out[i] = c.Certificate
	}
	return out
}

// Certificate returns a certificate of an app, by ID or by a host it serves.
func (p *Platform) Certificate(ctx context.Context, ref, which string) (out stead.Certificate, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		c, err := w.certificate(a, which)
		out = c.Certificate
		return err
	})
	return out, err
}

// certificate finds one by ID, by the host it was obtained for, or by a name:
// of several the one that is valid longest.
func (w *work) certificate(a store.App, which string) (store.Certificate, error) {
	all, err := w.Tx.Certificates(a.ID)
	if err != nil {
		return store.Certificate{}, err
	}
	var best *store.Certificate
	for i, c := range all {
		if string(c.ID) == which {
			return c, nil
		}
		if c.Host == which || covers(c.Names, which) {
			if best == nil || c.NotAfter != nil && (best.NotAfter == nil || c.NotAfter.After(*best.NotAfter)) {
				best = &all[i]
			}
		}
	}
	if best == nil {
		return store.Certificate{}, stead.NotFound("certificate", which)
	}
	return *best, nil
}

// obtained is certificate, and of several prefers what the platform obtains.
func (w *work) obtained(a store.App, which string) (store.Certificate, error) {
	all, err := w.Tx.Certificates(a.ID)
	if err != nil {
		return store.Certificate{}, err
	}
	for _, c := range all {
		if c.Source == stead.CertificateACME && c.Host == which {
			return c, nil
		}
	}
	return w.certificate(a, which)
}

// covers reports whether a certificate with the names is good for a host.
func covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(names, host) || slices.Contains(names, "*."+parent)
}

// AddCertificate takes a certificate that a person brings. It must be good for
// at least one domain of the app, and serves those it is good for. Others that
// were uploaded for the same hosts, or fewer, go.
func (p *Platform) AddCertificate(ctx context.Context, ref string, n stead.NewCertificate) (out stead.Certificate, err error) {
	pair, info, err := cert.Check(n.Chain, n.Key, p.now())
	if err != nil {
		return out, err
	}
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		hosts, err := w.served(a, info.Names)
		if err != nil {
			return err
		}
		c := store.Certificate{Certificate: stead.Certificate{ID: stead.NewID(w.now), AppID: a.ID, App: a.Name,
			Source: stead.CertificateUploaded, CreatedAt: w.now}}
		if err := w.fill(&c, pair, info); err != nil {
			return err
		}
		if err := w.replaces(a, hosts); err != nil {
			return err
		}
		if err := w.SaveCertificate(c); err != nil {
			return err
		}
		out = c.Certificate
		w.wake(TopicTLS)
		return w.event("certificate.add", &a, map[string]any{"certificate": c.ID, "hosts": hosts, "not_after": info.NotAfter})
	})
	return out, err
}

// served returns the domains of an app that a certificate is good for.
func (w *work) served(a store.App, names []string) (hosts []string, err error) {
	all, err := w.Domains(a.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if covers(names, d.Host) {
			hosts = append(hosts, d.Host)
		}
	}
	if len(hosts) == 0 {
		return nil, stead.Invalid("chain", "the certificate is for "+strings.Join(names, ", ")+", and the app answers for none of these",
			"add the domain first: stead domains add "+names[0])
	}
	return hosts, nil
}

// fill puts a pair, sealed, into a certificate.
func (w *work) fill(c *store.Certificate, pair cert.Pair, info cert.Info) error {
	if w.p.d.Keys == nil {
		return stead.Unavailable("the platform has no master key", "start it with one", nil)
	}
	key, err := w.p.d.Keys.Seal([]byte(pair.Key), owner(c.ID))
	if err != nil {
		return err
	}
	c.Chain, c.Key, c.Names, c.State = pair.Chain, key, info.Names, stead.CertificateReady
	c.Issuer, c.Fingerprint, c.NotBefore, c.NotAfter = info.Issuer, info.Fingerprint, &info.NotBefore, &info.NotAfter
	c.Reason, c.Attempts, c.Staple, c.StapleAt, c.UpdatedAt = "", 0, nil, nil, w.now
	if info.Responder != "" {
		c.StapleAt = &w.now
	}
	return nil
}

// replaces removes uploaded certificates that serve only hosts among these.
func (w *work) replaces(a store.App, hosts []string) error {
	all, err := w.Tx.Certificates(a.ID)
	if err != nil {
		return err
	}
	if len(all) >= maxCertificates {
		return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 500 certificates already", Hint: "remove one that is not needed"}
	}
	domains, err := w.Domains(a.ID)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Source != stead.CertificateUploaded || servesOthers(domains, c.Names, hosts) {
			continue
		}
		if err := w.DeleteCertificate(c.ID); err != nil {
			return err
		}
	}
	return nil
}

func servesOthers(domains []stead.Domain, names, hosts []string) bool {
	return slices.ContainsFunc(domains, func(d stead.Domain) bool { return covers(names, d.Host) && !slices.Contains(hosts, d.Host) })
}

// RemoveCertificate removes an uploaded certificate. One that the platform
// obtains goes with its domain, or when that is set to manual.
func (p *Platform) RemoveCertificate(ctx context.Context, ref, which string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		c, err := w.certificate(a, which)
		if err != nil {
			return err
		}
		if c.Source == stead.CertificateACME {
			return stead.Precondition("the platform obtains the certificate for "+c.Host+" and would do so again", "end that: stead certs auto off "+c.Host)
		}
		if err := w.DeleteCertificate(c.ID); err != nil {
			return err
		}
		w.wake(TopicTLS)
		return w.event("certificate.remove", &a, map[string]any{"certificate": c.ID, "names": c.Names})
	})
}

// RenewCertificate has a certificate that the platform obtains renewed now.
func (p *Platform) RenewCertificate(ctx context.Context, ref, which string) (out stead.Certificate, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		c, err := w.obtained(a, which)
		if err != nil {
			return err
		}
		if c.Source != stead.CertificateACME {
			return stead.Precondition("the certificate was uploaded, so only its authority can renew it", "add the new one: stead certs add CHAIN KEY")
		}
		c.NextAt, c.UpdatedAt = &w.now, w.now
		if err := w.SaveCertificate(c); err != nil {
			return err
		}
		out = c.Certificate
		w.wake(TopicTLS)
		return w.event("certificate.renew", &a, map[string]any{"certificate": c.ID, "host": c.Host})
	})
	return out, err
}

// UpdateDomain changes how a domain is reached over TLS.
func (p *Platform) UpdateDomain(ctx context.Context, ref, host string, patch stead.DomainPatch) (d stead.Domain, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if d, err = w.domain(a, host); err != nil {
			return err
		}
		if err := patch.Apply(&d); err != nil {
			return err
		}
		if err := w.SaveDomain(d); err != nil {
			return err
		}
		w.wake(TopicTLS)
		return w.event("domain.update", &a, map[string]any{"host": d.Host, "auto_tls": d.AutoTLS, "https_redirect": d.HTTPSRedirect,
			"hsts": d.HSTS, "min_tls": d.MinTLS})
	})
	return d, err
}

// authoritySecret names the platform's own authority among its secrets.
const authoritySecret = "authority"

// Authority returns the platform's own authority, for people to trust. Anybody
// may ask: each handshake shows it.
func (p *Platform) Authority(ctx context.Context) (stead.Authority, error) {
	a, err := p.InternalAuthority(p.as(ctx))
	if err != nil {
		return stead.Authority{}, err
	}
	i := a.Info()
	return stead.Authority{Certificate: a.Root(), Fingerprint: i.Fingerprint, NotAfter: i.NotAfter}, nil
}

// InternalAuthority returns the platform's own authority, made at the first call.
func (p *Platform) InternalAuthority(ctx context.Context) (*cert.Authority, error) {
	var pair cert.Pair
	err := p.keep(ctx, authoritySecret, &pair, func() error {
		a, err := cert.NewAuthority(p.set.Domain, p.now())
		if err == nil {
			pair = a.Pair()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return cert.OpenAuthority(pair)
}

// certificateSource says what serves a domain now.
func certificateSource(d stead.Domain, all []store.Certificate, p *Platform) stead.CertificateSource {
	best := stead.CertificateInternal
	for _, c := range all {
		if c.State != stead.CertificateReady || c.NotAfter != nil && p.now().After(*c.NotAfter) || !covers(c.Names, d.Host) {
			continue
		}
		if c.Source == stead.CertificateUploaded {
			return c.Source
		}
		best = c.Source
	}
	return best
}

var errNoKeys = errors.New("the platform has no master key")
