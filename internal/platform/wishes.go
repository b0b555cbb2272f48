package platform

import (
	"cmp"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// applyWishes makes the defaults that a source asks for the app's own, where
// nobody has set anything else, and tells what it did by an event.
func (w *work) applyWishes(a *store.App, i stead.Image, wish stead.Wishes, config stead.Config) error {
	told := map[string]any{}
	if err := w.wishedConfig(a, wish, config, told); err != nil {
		return err
	}
	if err := w.wishedProcesses(*a, i, wish, told); err != nil {
		return err
	}
	if err := w.declaredSchedules(*a, wish, told); err != nil {
		return err
	}
	if a.Releases == 0 {
		if err := w.wishedRoutes(*a, i, wish, told); err != nil {
			return err
		}
	}
	if len(told) == 0 {
		return nil
	}
	return w.event("app.defaults", a, told)
}

func (w *work) wishedConfig(a *store.App, wish stead.Wishes, config stead.Config, told map[string]any) error {
	next := maps.Clone(config)
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(wish.Config)) {
		v := wish.Config[k]
		if _, set := next[k]; set || v.Value == "" && !v.Generate || stead.CheckConfigKey(k) != nil {
			continue
		}
		if next[k] = v.Value; v.Generate {
			next[k] = rand.Text() + rand.Text()
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil
	}
	if err := next.Check(); err != nil {
		return err
	}
	maps.Copy(config, next)
	told["config"] = keys
	sealed, err := w.p.seal(a.ID, next)
	a.Config = sealed
	return err
}

// wishedProcesses sets up the processes that are new to the app. The web
// process is there from the start, and new until somebody or a release used it.
func (w *work) wishedProcesses(a store.App, i stead.Image, wish stead.Wishes, told map[string]any) error {
	have, err := w.Processes(a.ID)
	if err != nil {
		return err
	}
	for _, t := range slices.Sorted(maps.Keys(wish.Processes)) {
		if _, ok := i.Processes[t]; !ok || t == stead.ProcessRelease {
			continue
		}
		p := w.p.wished(t, wish.Processes[t])
		if settingsOf(p) == settingsOf(stead.DefaultProcess(t)) {
			continue
		}
		at := slices.IndexFunc(have, func(v stead.Process) bool { return v.Type == t })
		switch {
		case at < 0:
			err = w.InsertProcess(a.ID, p)
		case a.Releases == 0 && have[at].UpdatedAt == nil:
			err = w.SaveProcess(a.ID, p)
		default:
			continue
		}
		if err != nil {
			return err
		}
		told[t] = map[string]any{"quantity": p.Quantity, "size": p.Size, "path": p.Health.Path}
	}
	return nil
}

// wished is a process as it is before anybody changed it, when the source has a
// say. What the platform does not have is left at the default.
func (p *Platform) wished(t string, wish stead.ProcessWish) stead.Process {
	v := stead.DefaultProcess(t)
	if q := wish.Quantity; q != nil && *q >= 0 && *q <= stead.MaxQuantity {
		v.Quantity = *q
	}
	if _, err := stead.FindSize(p.set.Sizes, wish.Size); err == nil {
		v.Size = wish.Size
	} else if wish.Memory > 0 {
		v.Size = sizeOf(p.set.Sizes, wish.Memory)
	}
	if wish.Path != "" && stead.CheckPath("path", wish.Path) == nil {
		v.Health.Path = wish.Path
	}
	if wish.BootLimit > 0 {
		v.Health.BootLimit = min(wish.BootLimit, maxBootLimit)
	}
	if wish.StopGrace > 0 {
		v.StopGrace = min(wish.StopGrace, maxStopGrace)
	}
	return v
}

// sizeOf is the smallest size with that memory; the largest if none has it.
func sizeOf(sizes []stead.Size, memory int64) string {
	best := slices.MaxFunc(sizes, func(a, b stead.Size) int { return int(a.Memory>>20 - b.Memory>>20) })
	for _, s := range sizes {
		if s.Memory >= memory && s.Memory < best.Memory {
			best = s
		}
	}
	return best.Name
}

func (w *work) wishedRoutes(a store.App, i stead.Image, wish stead.Wishes, told map[string]any) error {
	var made []string
	for _, t := range wish.Routes {
		if _, ok := i.Processes[t.Process]; !ok || t.Host != "" || t.Path == "/" || stead.CheckPath("path", t.Path) != nil {
			continue
		}
		err := w.InsertRoute(stead.Route{ID: stead.NewID(w.now), AppID: a.ID, App: a.Name, Host: a.Host, Path: t.Path, Process: t.Process})
		if errors.Is(err, store.ErrDuplicate) {
			continue
		}
		if err != nil {
			return err
		}
		made = append(made, t.Path+" → "+t.Process)
	}
	if len(made) > 0 {
		told["routes"] = made
	}
	return nil
}

// declaredSchedules makes the app's declared schedules those of the source. What
// people added or paused is left alone.
func (w *work) declaredSchedules(a store.App, wish stead.Wishes, told map[string]any) error {
	have, err := w.Tx.Schedules(a.ID)
	if err != nil {
		return err
	}
	var added, removed []string
	kept := map[int]bool{}
	for _, s := range have {
		i := slices.IndexFunc(wish.Schedules, func(v stead.ScheduleWish) bool {
			return v.Cron == s.Cron && cmp.Or(v.Zone, "UTC") == s.Zone && slices.Equal(v.Command, s.Command)
		})
		if i >= 0 {
			kept[i] = true
		} else if s.Declared {
			if err := w.DeleteSchedule(a.ID, s.ID); err != nil {
				return err
			}
			removed = append(removed, s.Cron)
		}
	}
	for i, v := range wish.Schedules {
		if kept[i] || len(have)+len(added) >= maxSchedules {
			continue
		}
		s := stead.Schedule{ID: stead.NewID(w.now), AppID: a.ID, Cron: v.Cron, Zone: v.Zone, Command: v.Command, Declared: true, CreatedAt: w.now}
		if err := w.plan(&s); err != nil {
			return err
		}
		if err := w.InsertSchedule(s); err != nil {
			return err
		}
		added = append(added, s.Cron)
	}
	if len(added)+len(removed) > 0 {
		told["schedules"] = map[string]any{"added": added, "removed": removed}
	}
	return nil
}
