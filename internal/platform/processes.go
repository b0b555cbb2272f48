package platform

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// ProcessPatch changes what is not nil. Changes of size or health roll out
// like a release.
type ProcessPatch struct {
	Size      *string        `json:"size,omitempty"`
	Path      *string        `json:"path,omitempty"`
	BootLimit *stead.Seconds `json:"boot_limit,omitempty"`
	StopGrace *stead.Seconds `json:"stop_grace,omitempty"`
	Surge     *int           `json:"surge,omitempty"`
	IdleAfter *stead.Seconds `json:"idle_after,omitempty"`
}

// Limits on what a process may wish for.
const (
	maxBootLimit = stead.Seconds(30 * 60)
	maxStopGrace = stead.Seconds(10 * 60)
	minIdle      = stead.Seconds(10)
	maxIdle      = stead.Seconds(30 * 24 * 3600)
)

// Sizes returns the sizes that the platform offers.
func (p *Platform) Sizes() []stead.Size { return slices.Clone(p.set.Sizes) }

// Processes returns the processes of an app's current release; before the
// first one, those that are set up already.
func (p *Platform) Processes(ctx context.Context, ref string) (out []stead.Process, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.processes(a)
		return err
	})
	return out, err
}

func (w *work) processes(a store.App) ([]stead.Process, error) {
	all, err := w.Processes(a.ID)
	if err != nil {
		return nil, err
	}
	r, err := w.current(a)
	if errors.Is(err, store.ErrNotFound) {
		return all, nil
	}
	return commanded(all, r.Image), err
}

// commanded returns the processes that the image has, with their commands.
func commanded(all []stead.Process, i stead.Image) []stead.Process {
	out := make([]stead.Process, 0, len(all))
	for _, v := range all {
		if c, ok := i.Processes[v.Type]; ok {
			v.Command = c
			out = append(out, v)
		}
	}
	return out
}

func find(all []stead.Process, t string) (*stead.Process, error) {
	known := make([]string, 0, len(all))
	for i := range all {
		if all[i].Type == t {
			return &all[i], nil
		}
		known = append(known, all[i].Type)
	}
	return nil, &stead.Error{Kind: stead.KindNotFound, Field: "process", Msg: "the app has no process " + strconv.Quote(t),
		Hint: "it has " + cmp.Or(strings.Join(known, ", "), "none") + "; a Procfile names them"}
}

// Scale changes quantities and sizes, all or none. Scaling a stopped process
// starts it.
func (p *Platform) Scale(ctx context.Context, ref string, changes []stead.Scale) (out []stead.Process, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if out, err = w.processes(a); err != nil {
			return err
		}
		was := slices.Clone(out)
		for _, c := range changes {
			if err := p.scale(out, c); err != nil {
				return err
			}
		}
		return w.saveProcesses(&a, was, out, "process.scale", func(v stead.Process) any {
			return map[string]any{"quantity": v.Quantity, "size": v.Size}
		})
	})
	return out, err
}

func (p *Platform) scale(all []stead.Process, c stead.Scale) error {
	v, err := find(all, c.Type)
	if err != nil {
		return err
	}
	if c.Count < 0 || c.Count > 2*stead.MaxQuantity {
		return stead.Invalid("scale", "the count is out of range", "choose a quantity from 0 to "+strconv.Itoa(stead.MaxQuantity))
	}
	if v.Quantity, err = c.Apply(v.Quantity); err != nil {
		return err
	}
	v.Stopped, v.Asleep = false, false
	if c.Size == "" {
		return nil
	}
	_, err = stead.FindSize(p.set.Sizes, c.Size)
	v.Size = c.Size
	return err
}

// saveProcesses writes the processes that changed, with one event for all.
func (w *work) saveProcesses(a *store.App, was, all []stead.Process, verb string, data func(stead.Process) any) error {
	changed := map[string]any{}
	for i, v := range all {
		if settingsOf(v) == settingsOf(was[i]) {
			continue
		}
		all[i].UpdatedAt = &w.now
		if err := w.SaveProcess(a.ID, all[i]); err != nil {
			return err
		}
		changed[v.Type] = data(v)
	}
	if len(changed) == 0 {
		return nil
	}
	return w.intended(verb, a, changed)
}

// settings is what of a process is kept.
type settings struct {
	quantity  int
	size      string
	health    stead.Health
	stopGrace stead.Seconds
	surge     int
	idleAfter stead.Seconds
	asleep    bool
	stopped   bool
}

func settingsOf(v stead.Process) settings {
	return settings{v.Quantity, v.Size, v.Health, v.StopGrace, v.Surge, v.IdleAfter, v.Asleep, v.Stopped}
}

// UpdateProcess changes how a process is run.
func (p *Platform) UpdateProcess(ctx context.Context, ref, process string, patch ProcessPatch) (out stead.Process, err error) {
	err = p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		all, err := w.processes(a)
		if err != nil {
			return err
		}
		was := slices.Clone(all)
		v, err := find(all, process)
		if err != nil {
			return err
		}
		if err := patch.apply(v, p.set.Sizes); err != nil {
			return err
		}
		err = w.saveProcesses(&a, was, all, "process.update", func(v stead.Process) any {
			return map[string]any{"size": v.Size, "path": v.Health.Path, "boot_limit": v.Health.BootLimit, "stop_grace": v.StopGrace, "surge": v.Surge, "idle_after": v.IdleAfter}
		})
		out = *v
		return err
	})
	return out, err
}

func (patch ProcessPatch) apply(v *stead.Process, sizes []stead.Size) error {
	if s := patch.Size; s != nil {
		if _, err := stead.FindSize(sizes, *s); err != nil {
			return err
		}
		v.Size = *s
	}
	if s := patch.Path; s != nil {
		if *s != "" {
			if err := stead.CheckPath("path", *s); err != nil {
				return err
			}
		}
		v.Health.Path = *s
	}
	if s := patch.BootLimit; s != nil {
		if *s < 1 || *s > maxBootLimit {
			return stead.Invalid("boot_limit", "the boot limit is out of range", "choose 1 to 1800 seconds")
		}
		v.Health.BootLimit = *s
	}
	if s := patch.StopGrace; s != nil {
		if *s < 0 || *s > maxStopGrace {
			return stead.Invalid("stop_grace", "the time to stop is out of range", "choose 0 to 600 seconds")
		}
		v.StopGrace = *s
	}
	if s := patch.IdleAfter; s != nil {
		if err := checkIdle(v.Type, *s); err != nil {
			return err
		}
		v.IdleAfter, v.Asleep = *s, v.Asleep && *s > 0
	}
	if s := patch.Surge; s != nil {
		if *s < 1 || *s > 100 {
			return stead.Invalid("surge", "the surge is out of range", "choose 1 to 100 percent of the quantity; 100 replaces all instances at once")
		}
		v.Surge = *s
	}
	return nil
}

// Restart replaces instances without losing a request: of the whole app
// (target ""), or of a process ("web"). What was stopped is started.
func (p *Platform) Restart(ctx context.Context, ref, target string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		if _, err = w.current(a); err != nil {
			return orElse(err, stead.Precondition("the app has no release yet, so nothing runs", "push it first"))
		}
		_, err = w.eachProcess(a, target, func(v *stead.Process) bool {
			if !v.Stopped {
				v.Epoch++
			}
			v.Stopped, v.Asleep = false, false
			return true
		})
		if err != nil {
			return err
		}
		return w.intended("app.restart", &a, map[string]any{"process": target})
	})
}

// Stop stops the app's (target "") or a process's instances and keeps its quantity.
func (p *Platform) Stop(ctx context.Context, ref, target string) error {
	return p.change(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		changed, err := w.eachProcess(a, target, func(v *stead.Process) bool {
			was := v.Stopped
			v.Stopped = true
			return !was
		})
		if err != nil || changed == 0 {
			return err
		}
		return w.intended("app.stop", &a, map[string]any{"process": target})
	})
}

// eachProcess changes a process, or (target "") all, and saves those of which
// change says that it did. It returns how many.
func (w *work) eachProcess(a store.App, target string, change func(*stead.Process) bool) (changed int, err error) {
	all, err := w.processes(a)
	if err != nil {
		return 0, err
	}
	if target != "" {
		v, err := find(all, target)
		if err != nil {
			return 0, err
		}
		all = []stead.Process{*v}
	}
	for _, v := range all {
		if !change(&v) {
			continue
		}
		v.UpdatedAt = &w.now
		if err := w.SaveProcess(a.ID, v); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// Instances returns the instances of an app as last seen, those of tasks too.
func (p *Platform) Instances(ctx context.Context, ref string) (out []stead.Instance, err error) {
	err = p.view(ctx, func(w *work) error {
		a, err := w.app(ref, stead.ActRead)
		if err != nil {
			return err
		}
		out, err = w.Instances(a.ID)
		slices.SortFunc(out, byProcess)
		return err
	})
	return out, err
}

// byProcess orders instances: web first, then by process, number and release.
func byProcess(a, b stead.Instance) int {
	return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a.Process, b.Process),
		cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Ref, b.Ref))
}

func weight(i stead.Instance) int {
	if i.Process == stead.ProcessWeb {
		return 0
	}
	return 1
}

// checkIdle refuses times that make no sense, and processes that no request
// could wake.
func checkIdle(process string, s stead.Seconds) error {
	switch {
	case s == 0:
		return nil
	case process != stead.ProcessWeb:
		return stead.Precondition("the process "+process+" gets no requests, so nothing would wake it", "only web may stop when it is idle")
	case s < minIdle || s > maxIdle:
		return stead.Invalid("idle_after", "the idle time is out of range", "choose 10 seconds to 30 days, or 0 for never")
	}
	return nil
}
