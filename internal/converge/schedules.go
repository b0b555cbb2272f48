package converge

import (
	"context"
	"log/slog"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// SchedulePlatform is what the schedules loop uses of the hall.
type SchedulePlatform interface {
	Wakes(t platform.Topic) (c <-chan struct{}, stop func())
	RunDue(ctx context.Context) (next *time.Time, err error)
}

// Schedules starts tasks when their times come.
type Schedules struct {
	Platform SchedulePlatform
	Logger   *slog.Logger
}

// scheduleTick is how often the schedules are looked at without a hint: another
// control plane may have changed them, and a clock may have been set.
const scheduleTick = 30 * time.Second

// Run starts what is due until ctx ends.
func (s *Schedules) Run(ctx context.Context) error {
	ctx = stead.WithActor(ctx, stead.System)
	wakes, stop := s.Platform.Wakes(platform.TopicSchedules)
	defer stop()
	for {
		next, err := s.Platform.RunDue(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.Error("schedules not run", "err", err)
		}
		wait := scheduleTick
		if err == nil && next != nil {
			wait = max(0, min(wait, time.Until(*next)))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-wakes:
			timer.Stop()
		case <-timer.C:
		}
	}
}
