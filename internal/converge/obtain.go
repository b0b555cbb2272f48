package converge

import (
	"context"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
)

// Times of obtaining a certificate. The claim outlives the attempt, so that two
// control planes never ask for the same one at once.
const (
	obtainLimit = 8 * time.Minute
	obtainClaim = 10 * time.Minute
)

// claim takes certificates that are due while there are any and a slot is free.
func (c *Certificates) claim(ctx context.Context, wg *sync.WaitGroup, free chan struct{}) {
	if c.d.ACME == nil {
		return
	}
	for ctx.Err() == nil {
		select {
		case free <- struct{}{}:
		default:
			return
		}
		due, err := c.d.Platform.ClaimCertificate(ctx, c.d.Holder, obtainClaim)
		if err != nil || due == nil {
			if err != nil && ctx.Err() == nil {
				c.d.Logger.Warn("no certificate claimed", "err", err)
			}
			<-free
			return
		}
		wg.Go(func() {
			c.obtain(ctx, *due)
			<-free
		})
	}
}

// obtain makes one attempt and records its end. When ctx ends, the claim runs
// out and another attempt is made.
func (c *Certificates) obtain(ctx context.Context, due stead.Certificate) {
	limited, cancel := context.WithTimeout(ctx, obtainLimit)
	defer cancel()
	pair, err := c.attempt(limited, due.Names)
	if ctx.Err() != nil {
		return
	}
	log := c.d.Logger.With("certificate", due.ID, "host", due.Host)
	if err != nil {
		log.Warn("certificate not obtained", "err", err)
	} else {
		log.Info("certificate obtained")
	}
	if err := c.d.Platform.FinishCertificate(ctx, due.ID, c.d.Holder, pair, err); err != nil {
		log.Error("certificate not kept", "err", err)
	}
}

func (c *Certificates) attempt(ctx context.Context, names []string) (cert.Pair, error) {
	c.registering.Lock() // so that a first start makes one account, not four
	account, err := c.d.Platform.ACMEAccount(ctx, c.d.ACME.Directory, func() (cert.Account, error) { return c.d.ACME.Register(ctx) })
	c.registering.Unlock()
	if err != nil {
		return cert.Pair{}, err
	}
	return c.d.ACME.Obtain(ctx, account, presenter{c}, names...)
}

// presenter shows challenges through the routers.
type presenter struct{ c *Certificates }

// Present returns when this platform's router answers, and with others when
// they have looked at the database too.
func (p presenter) Present(ctx context.Context, ch cert.Challenge) error {
	if err := p.c.d.Platform.PresentChallenge(ctx, ch); err != nil {
		return err
	}
	if err := p.c.refresh(ctx); err != nil {
		return err
	}
	if p.c.d.Shared && !pause(ctx, p.c.d.Tick+time.Second) {
		return ctx.Err()
	}
	return nil
}

func (p presenter) CleanUp(ctx context.Context, ch cert.Challenge) error {
	return p.c.d.Platform.RemoveChallenge(ctx, ch)
}
