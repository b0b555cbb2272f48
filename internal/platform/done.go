package platform

import (
	"context"
	"time"

	"github.com/steadpaas/stead"
)

// ReportDone records which change of an app the router serves by, and which
// one is carried out: what runs is as asked, or will not be. Saying it again
// changes nothing.
func (p *Platform) ReportDone(ctx context.Context, app stead.ID, routed, settled int) error {
	return p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		w.wake(topicDone)
		return w.SaveAppDone(app, routed, settled)
	})
}

// Stage is how far a change of an app is carried out.
type Stage string

// The stages, which people wait for.
const (
	StageRouted  Stage = "routed"  // stead.App.Routed
	StageSettled Stage = "settled" // stead.App.Settled
)

// lookAgain is how often a wait looks without a hint: another control plane may
// have done the work.
const lookAgain = 500 * time.Millisecond

// AwaitApp returns the app as soon as it has come to the stage, or as it is
// when limit is over.
func (p *Platform) AwaitApp(ctx context.Context, ref string, stage Stage, limit time.Duration) (a stead.App, err error) {
	if stage != StageRouted && stage != StageSettled {
		return a, stead.Invalid("wait", "there is no stage "+string(stage)+" to wait for", "use routed or settled")
	}
	heard, stop := p.bell.listen(topicDone)
	defer stop()
	over, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		a, err = p.App(ctx, ref)
		if err != nil || a.Settled || a.Routed && stage == StageRouted {
			return a, err
		}
		select {
		case <-over.Done():
			return a, ctx.Err()
		case <-heard:
		case <-tick.C:
		}
	}
}
