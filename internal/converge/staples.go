package converge

import (
	"context"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// runStaples asks OCSP responders, beside the loop that they must not hold up.
func (c *Certificates) runStaples(ctx context.Context) {
	for {
		if s := c.state.Load(); s != nil {
			c.staples(ctx, *s, time.Now())
		}
		if !pause(ctx, c.d.Tick) {
			return
		}
	}
}

// staples asks the responders whose answers are old.
func (c *Certificates) staples(ctx context.Context, state platform.TLSState, now time.Time) {
	for _, t := range state.Certificates {
		if t.State != stead.CertificateReady || t.StapleAt == nil || t.StapleAt.After(now) {
			continue
		}
		s, err := c.d.Responders.Ask(ctx, t.Pair.Chain, now)
		next := now.Add(time.Hour)
		if err != nil {
			c.d.Logger.Warn("no OCSP answer", "certificate", t.ID, "err", err)
		} else if s != nil {
			next = s.Refresh
		}
		if err := c.d.Platform.SaveStaple(ctx, t.ID, t.Fingerprint, s, next); err != nil && ctx.Err() == nil {
			c.d.Logger.Warn("OCSP answer not kept", "certificate", t.ID, "err", err)
		}
	}
}
