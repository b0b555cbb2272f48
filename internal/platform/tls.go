package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/store"
)

// TLSCertificate is a certificate with its key.
type TLSCertificate struct {
	stead.Certificate
	Pair     cert.Pair // Key "" while there is none
	Staple   []byte
	StapleAt *time.Time // when the responder is to be asked; nil: there is none
}

// TLSState is all that the loop for certificates needs to know.
type TLSState struct {
	Domains      []stead.Domain
	Certificates []TLSCertificate
	Challenges   []cert.Challenge
}

// TLSRevision changes whenever TLSState may have.
func (p *Platform) TLSRevision(ctx context.Context) (rev string, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		rev, err = w.Tx.TLSRevision()
		return err
	})
	return rev, err
}

// TLSState returns domains, certificates with keys, and open challenges.
func (p *Platform) TLSState(ctx context.Context) (out TLSState, err error) {
	err = p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		if out.Domains, err = w.AllDomains(); err != nil {
			return err
		}
		all, err := w.AllCertificates()
		if err != nil {
			return err
		}
		out.Certificates = make([]TLSCertificate, 0, len(all))
		for _, c := range all {
			t, err := p.open(c)
			if err != nil {
				return err
			}
			out.Certificates = append(out.Certificates, t)
		}
		challenges, err := w.Challenges()
		for _, c := range challenges {
			ch := cert.Challenge{Host: c.Host, Token: c.Token, Answer: c.Answer}
			if c.Chain != "" {
				ch.Token, ch.Pair = "", &cert.Pair{Chain: c.Chain, Key: c.Key}
			}
			out.Challenges = append(out.Challenges, ch)
		}
		return err
	})
	return out, err
}

func (p *Platform) open(c store.Certificate) (TLSCertificate, error) {
	t := TLSCertificate{Certificate: c.Certificate, Staple: c.Staple, StapleAt: c.StapleAt, Pair: cert.Pair{Chain: c.Chain}}
	if len(c.Key) == 0 {
		return t, nil
	}
	if p.d.Keys == nil {
		return t, errNoKeys
	}
	key, err := p.d.Keys.Open(c.Key, owner(c.ID))
	if err != nil {
		return t, fmt.Errorf("open the key of certificate %s: %w", c.ID, err)
	}
	t.Pair.Key = string(key)
	return t, nil
}

// OrderCertificate has a certificate obtained for a host of an app ("": of the
// platform), with these names. It does nothing when there is one.
func (p *Platform) OrderCertificate(ctx context.Context, app stead.ID, host string, names []string) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		have, err := w.Tx.Certificates(app)
		if err != nil {
			return err
		}
		for _, c := range have {
			if c.Source == stead.CertificateACME && c.Host == host {
				return nil
			}
		}
		w.wake(TopicTLS)
		return w.SaveCertificate(store.Certificate{Certificate: stead.Certificate{ID: stead.NewID(w.now), AppID: app, Host: host, Names: names,
			Source: stead.CertificateACME, State: stead.CertificatePending, NextAt: &w.now, CreatedAt: w.now, UpdatedAt: w.now}})
	})
}

// DropCertificate forgets a certificate that no host needs any more.
func (p *Platform) DropCertificate(ctx context.Context, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		w.wake(TopicTLS)
		return orElse(w.DeleteCertificate(id), nil)
	})
}

// ClaimCertificate takes one that is due to be obtained or renewed, for holder:
// nobody else tries before ttl is over. nil: none.
func (p *Platform) ClaimCertificate(ctx context.Context, holder string, ttl time.Duration) (out *stead.Certificate, err error) {
	look := func(w *work) (store.Certificate, error) {
		if err := w.system(); err != nil {
			return store.Certificate{}, err
		}
		return w.DueCertificate(w.now)
	}
	err = p.view(ctx, func(w *work) error { _, err := look(w); return err }) // without the writers' turn
	if err == nil {
		err = p.change(ctx, func(w *work) error {
			c, err := look(w)
			if err != nil {
				return err
			}
			until := w.now.Add(ttl)
			c.Holder, c.ClaimedUntil = holder, &until
			out = &c.Certificate
			return w.SaveCertificate(c)
		})
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return out, err
}

// FinishCertificate records how an attempt ended, and when the next is due:
// when two thirds of the certificate's life are over, or after a back-off.
func (p *Platform) FinishCertificate(ctx context.Context, id stead.ID, holder string, pair cert.Pair, failure error) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		c, err := w.CertificateByID(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && c.Holder != holder {
			return nil // gone, or another's meanwhile
		}
		if err != nil {
			return err
		}
		c.Holder, c.ClaimedUntil, c.UpdatedAt = "", nil, w.now
		verb, data := "certificate.issue", map[string]any{"certificate": c.ID, "host": c.Host}
		if failure == nil {
			err = w.issued(&c, pair, data)
		} else {
			verb = "certificate.fail"
			w.notIssued(&c, failure, data)
		}
		if err != nil {
			return err
		}
		if err := w.SaveCertificate(c); err != nil {
			return err
		}
		w.wake(TopicTLS)
		return w.certificateEvent(verb, c, data)
	})
}

func (w *work) issued(c *store.Certificate, pair cert.Pair, data map[string]any) error {
	info, err := cert.Inspect(pair.Chain)
	if err != nil {
		return err
	}
	if err := w.fill(c, pair, info); err != nil {
		return err
	}
	next := info.NotBefore.Add(info.NotAfter.Sub(info.NotBefore) * 2 / 3)
	c.NextAt, data["not_after"] = &next, info.NotAfter
	return nil
}

// Back-off of attempts: authorities allow few failures an hour.
const (
	firstRetry = time.Minute
	lastRetry  = 12 * time.Hour
)

func (w *work) notIssued(c *store.Certificate, failure error, data map[string]any) {
	c.Attempts++
	next := w.now.Add(min(firstRetry<<min(2*(c.Attempts-1), 20), lastRetry))
	c.Reason, c.NextAt = failure.Error(), &next
	if c.State != stead.CertificateReady {
		c.State = stead.CertificateFailed
	}
	data["reason"], data["next_at"], data["attempts"] = c.Reason, next, c.Attempts
}

func (w *work) certificateEvent(verb string, c store.Certificate, data map[string]any) error {
	if c.AppID == "" {
		return w.record(store.Event{Event: stead.Event{Verb: verb, Data: data}})
	}
	a, err := w.AppByID(c.AppID)
	if err != nil {
		return err
	}
	return w.event(verb, &a, data)
}

// SaveStaple keeps what the certificate's responder said. A revoked certificate
// that the platform obtained is replaced at once.
func (p *Platform) SaveStaple(ctx context.Context, id stead.ID, fingerprint string, s *cert.Staple, next time.Time) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		c, err := w.CertificateByID(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && c.Fingerprint != fingerprint {
			return nil // replaced meanwhile
		}
		if err != nil {
			return err
		}
		c.StapleAt, c.UpdatedAt = &next, w.now
		revoked := s != nil && !s.Good && c.Reason == ""
		if s != nil {
			c.Staple = s.DER
		}
		if revoked {
			c.Reason = "the authority has revoked this certificate"
			if c.Source == stead.CertificateACME {
				c.NextAt = &w.now
			}
		}
		if err := w.SaveCertificate(c); err != nil || !revoked {
			return err
		}
		w.wake(TopicTLS)
		return w.certificateEvent("certificate.revoked", c, map[string]any{"certificate": c.ID, "names": c.Names})
	})
}

// PresentChallenge has every router answer a challenge.
func (p *Platform) PresentChallenge(ctx context.Context, ch cert.Challenge) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		w.wake(TopicTLS)
		c := store.Challenge{Host: ch.Host, Token: ch.Token, Answer: ch.Answer, CreatedAt: w.now}
		if ch.Pair != nil {
			c.Token, c.Chain, c.Key = alpnToken, ch.Pair.Chain, ch.Pair.Key
		}
		return w.SaveChallenge(c)
	})
}

// alpnToken stands for the one TLS-ALPN-01 challenge that a host can have.
const alpnToken = "tls-alpn-01"

// RemoveChallenge ends a challenge, and those that were left behind.
func (p *Platform) RemoveChallenge(ctx context.Context, ch cert.Challenge) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		token := ch.Token
		if ch.Pair != nil {
			token = alpnToken
		}
		w.wake(TopicTLS)
		return w.DeleteChallenge(ch.Host, token, w.now.Add(-time.Hour))
	})
}

// ACMEAccount returns the account at an authority's directory, made by register
// at the first call.
func (p *Platform) ACMEAccount(ctx context.Context, directory string, register func() (cert.Account, error)) (a cert.Account, err error) {
	err = p.keep(ctx, "acme "+directory, &a, func() (err error) { a, err = register(); return err })
	return a, err
}

// keep reads a secret of the platform's own into v, or has make fill v and keeps
// that. When two do so at once, both get the first one's.
func (p *Platform) keep(ctx context.Context, id string, v any, make func() error) error {
	err := p.secret(ctx, id, v)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := make(); err != nil {
		return err
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if p.d.Keys == nil {
		return errNoKeys
	}
	sealed, err := p.d.Keys.Seal(plain, owner(stead.ID(id)))
	if err != nil {
		return err
	}
	err = p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		return w.InsertPlatformSecret(id, sealed)
	})
	if err != nil && !errors.Is(err, store.ErrDuplicate) {
		return err
	}
	return p.secret(ctx, id, v)
}

func (p *Platform) secret(ctx context.Context, id string, v any) error {
	return p.view(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		sealed, err := w.PlatformSecret(id)
		if err != nil {
			return err
		}
		if p.d.Keys == nil {
			return errNoKeys
		}
		plain, err := p.d.Keys.Open(sealed, owner(stead.ID(id)))
		if err != nil {
			return fmt.Errorf("open the platform's secret %s: %w", id, err)
		}
		return json.Unmarshal(plain, v)
	})
}
