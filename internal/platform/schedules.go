package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// maxSchedules is how many an app may have.
const maxSchedules = 100

// cronFields reads what a schedule's Cron may be. Seconds, @every and a zone
// before the fields are not among it.
var cronFields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// nextRun returns when a schedule's time comes after now.
func nextRun(expr, zone string, now time.Time) (*time.Time, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, stead.Invalid("zone", "there is no time zone "+fmt.Sprintf("%.60q", zone), "use a name of the IANA list, such as UTC or Europe/Berlin")
	}
	const hint = "write five fields: minute, hour, day of month, month, day of week, as in \"*/10 * * * *\" or \"0 4 * * mon\"; or @daily"
	if strings.Contains(expr, "TZ=") || strings.HasPrefix(expr, "@every") {
		return nil, stead.Invalid("cron", fmt.Sprintf("%.60q is not a schedule", expr), hint)
	}
	s, err := cronFields.Parse(expr)
	if err != nil {
		return nil, stead.Invalid("cron", fmt.Sprintf("%.60q is not a schedule: %v", expr, err), hint)
	}
	next := s.Next(now.In(loc)).UTC()
	if next.IsZero() || next.Year() < now.Year() {
		return nil, stead.Invalid("cron", fmt.Sprintf("%.60q never comes", expr), "check the day and the month")
	}
	return &next, nil
}

// Schedules returns the schedules of an app.
func (p *Platform) Schedules(ctx context.Context, ref string) (out []stead.Schedule, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.Tx.Schedules(a.ID)
		return err
	})
	return out, err
}

// AddSchedule has a task run at times.
func (p *Platform) AddSchedule(ctx context.Context, ref string, n stead.NewSchedule) (out stead.Schedule, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		have, err := w.Tx.Schedules(a.ID)
		if err != nil {
			return err
		}
		if len(have) >= maxSchedules {
			return &stead.Error{Kind: stead.KindLimit, Msg: "the app has 100 schedules already", Hint: "remove one that is not needed"}
		}
		out = stead.Schedule{ID: stead.NewID(w.now), AppID: a.ID, Cron: n.Cron, Zone: n.Zone, Command: n.Command, Size: n.Size, CreatedAt: w.now}
		if err := w.plan(&out); err != nil {
			return err
		}
		if err := w.InsertSchedule(out); err != nil {
			return err
		}
		return w.event("schedule.add", &a, map[string]any{"schedule": out.ID, "cron": out.Cron, "zone": out.Zone})
	})
	return out, err
}

// plan checks a schedule and computes when its time comes next.
func (w *work) plan(s *stead.Schedule) (err error) {
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	s.Cron = strings.Join(strings.Fields(s.Cron), " ")
	if err := checkCommand(s.Command); err != nil {
		return err
	}
	if s.Size != "" {
		if _, err := stead.FindSize(w.p.set.Sizes, s.Size); err != nil {
			return err
		}
	}
	if s.NextAt, err = nextRun(s.Cron, s.Zone, w.now); err != nil {
		return err
	}
	if s.Paused {
		s.NextAt = nil
	}
	w.wake(TopicSchedules)
	return nil
}

// UpdateSchedule changes what is not nil. While paused, a schedule's times pass
// without a task; none is made up for later.
func (p *Platform) UpdateSchedule(ctx context.Context, ref string, id stead.ID, n stead.SchedulePatch) (out stead.Schedule, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if out, err = w.Tx.Schedule(a.ID, id); err != nil {
			return orElse(err, stead.NotFound("schedule", string(id)))
		}
		set(&out.Cron, n.Cron)
		set(&out.Zone, n.Zone)
		set(&out.Size, n.Size)
		set(&out.Paused, n.Paused)
		if n.Command != nil {
			out.Command = n.Command
		}
		if err := w.plan(&out); err != nil {
			return err
		}
		if err := w.SaveSchedule(out); err != nil {
			return err
		}
		return w.event("schedule.update", &a, map[string]any{"schedule": id, "cron": out.Cron, "zone": out.Zone, "paused": out.Paused})
	})
	return out, err
}

func set[T any](v *T, to *T) {
	if to != nil {
		*v = *to
	}
}

// RemoveSchedule ends a schedule. A task that it started runs on.
func (p *Platform) RemoveSchedule(ctx context.Context, ref string, id stead.ID) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if err := w.DeleteSchedule(a.ID, id); err != nil {
			return orElse(err, stead.NotFound("schedule", string(id)))
		}
		return w.event("schedule.remove", &a, map[string]any{"schedule": id})
	})
}

// RunDue starts the tasks whose time has come, and returns when the next one's
// does (nil: never). A time that passed while the platform was away is made up
// for once. A schedule whose last task still runs is left out, and says so.
func (p *Platform) RunDue(ctx context.Context) (next *time.Time, err error) {
	err = p.change(ctx, func(w *work) error {
		if err := w.system(); err != nil {
			return err
		}
		due, err := w.SchedulesDue(w.now)
		if err != nil {
			return err
		}
		for _, s := range due {
			if err := w.runSchedule(s); err != nil {
				return err
			}
		}
		next, err = w.NextSchedule()
		return err
	})
	return next, err
}

func (w *work) runSchedule(s stead.Schedule) error {
	a, err := w.AppByID(s.AppID)
	if err != nil {
		return err
	}
	running, err := w.lastRuns(s)
	if err != nil {
		return err
	}
	s.LastAt, s.Reason = &w.now, ""
	if running {
		s.Reason = s.LastTask + " of the time before still runs"
	} else if t, err := w.startTask(&a, NewTask{Command: s.Command, Size: s.Size}); err == nil {
		s.LastTask = t.Name
	} else if e, ok := errors.AsType[*stead.Error](err); ok && e.Kind != stead.KindInternal {
		s.Reason = e.Msg
	} else {
		return err
	}
	if s.NextAt, err = nextRun(s.Cron, s.Zone, w.now); err != nil {
		s.Paused, s.NextAt, s.Reason = true, nil, err.Error() // the zone is gone from the machine's list
	}
	if err := w.SaveSchedule(s); err != nil || s.Reason == "" {
		return err
	}
	return w.event("schedule.skip", &a, map[string]any{"schedule": s.ID, "reason": s.Reason})
}

// lastRuns reports whether the task that the schedule started last is not done.
func (w *work) lastRuns(s stead.Schedule) (bool, error) {
	if s.LastTask == "" {
		return false, nil
	}
	t, err := w.Tx.Task(s.AppID, s.LastTask)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && !t.State.Done(), err
}
