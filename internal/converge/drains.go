package converge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/egress"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
)

// DrainPlatform is what the drains loop uses of the hall.
type DrainPlatform interface {
	Wakes(t platform.Topic) (c <-chan struct{}, stop func())
	OpenDrains(ctx context.Context) ([]platform.DrainSpec, error)
	ReportDrain(ctx context.Context, id stead.ID, r logs.DrainReport) error
}

// DrainLogs is what the drains loop needs of package logs.
type DrainLogs interface {
	logs.Tailer
	// End returns the Seq of a stream's newest line.
	End(stream string) (int64, error)
}

// Drains sends the log lines of apps to where their drains lead.
type Drains struct {
	Platform DrainPlatform
	Logs     DrainLogs
	Guard    egress.Guard
	Tick     time.Duration // how often to look without a hint; 0: 30 s
	Logger   *slog.Logger
}

// Run keeps a sender for each drain until ctx ends.
func (d *Drains) Run(ctx context.Context) error {
	ctx = stead.WithActor(ctx, stead.System)
	wakes, stop := d.Platform.Wakes(platform.TopicDrains)
	defer stop()
	if d.Tick == 0 {
		d.Tick = 30 * time.Second
	}
	tick := time.NewTicker(d.Tick)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[stead.ID]context.CancelFunc{}
	for {
		want, err := d.Platform.OpenDrains(ctx)
		if err != nil && ctx.Err() == nil {
			d.Logger.Error("drains not read", "err", err)
		}
		if err == nil {
			d.reconcile(ctx, want, running, &wg)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wakes:
		case <-tick.C:
		}
	}
}

// reconcile starts what is wanted and ends what is not.
func (d *Drains) reconcile(ctx context.Context, want []platform.DrainSpec, running map[stead.ID]context.CancelFunc, wg *sync.WaitGroup) {
	wanted := map[stead.ID]bool{}
	for _, spec := range want {
		wanted[spec.ID] = true
		if running[spec.ID] != nil {
			continue
		}
		held, cancel := context.WithCancel(ctx)
		running[spec.ID] = cancel
		wg.Go(func() { d.keep(held, spec) })
	}
	for id, cancel := range running {
		if !wanted[id] {
			cancel()
			delete(running, id)
		}
	}
}

// keep runs one drain until it is removed, and again when its log failed.
func (d *Drains) keep(ctx context.Context, spec platform.DrainSpec) {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		err := d.drain(ctx, &spec)
		if err != nil && ctx.Err() == nil {
			d.Logger.Error("drain stopped", "drain", spec.ID, "err", err)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (d *Drains) drain(ctx context.Context, spec *platform.DrainSpec) error {
	stream := logs.AppStream(spec.AppID)
	if err := d.begin(ctx, spec, stream); err != nil {
		return err
	}
	to, err := logs.NewSender(spec.To, spec.Token, d.Guard.Dialer(), d.Guard.Client(time.Minute))
	if err != nil {
		return err
	}
	defer to.Close()
	q := logs.Query{After: spec.After}
	if spec.After == 0 {
		q.Num = -1 // the log was empty when the drain began
	}
	b := &book{save: func(r logs.DrainReport) { d.report(ctx, spec, r) }}
	defer b.close()
	return logs.Drain(ctx, d.Logs, stream, q, to, b.add)
}

func (d *Drains) report(ctx context.Context, spec *platform.DrainSpec, r logs.DrainReport) {
	spec.After = r.After
	if r.Err != nil {
		r.Err = errors.New(egress.Reason(r.Err))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // what was sent is kept, also at the end
	defer cancel()
	if err := d.Platform.ReportDrain(ctx, spec.ID, r); err != nil {
		d.Logger.Error("drain not reported", "drain", spec.ID, "err", err)
	}
}

// bookEvery is how often a drain that does well is recorded.
const bookEvery = 2 * time.Second

// book adds up reports, so that a busy drain does not write for each batch.
type book struct {
	save func(logs.DrainReport)

	mu    sync.Mutex
	open  logs.DrainReport
	dirty bool
	ill   bool // the last saved one had an error
	saved time.Time
	timer *time.Timer // saves what is open; nil: nothing waits
}

func (b *book) add(r logs.DrainReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.After, b.open.Err = r.After, r.Err
	b.open.Delivered += r.Delivered
	b.open.Dropped += r.Dropped
	b.dirty = true
	switch {
	case (r.Err != nil) != b.ill || time.Since(b.saved) >= bookEvery:
		b.flush()
	case b.timer == nil:
		b.timer = time.AfterFunc(bookEvery, b.close)
	}
}

// close saves what is not saved yet.
func (b *book) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

func (b *book) flush() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if b.dirty {
		b.save(b.open)
		b.ill, b.saved, b.dirty, b.open = b.open.Err != nil, time.Now(), false, logs.DrainReport{}
	}
}

// begin fixes where a new drain begins, so that a restart of the platform
// before its first line loses none.
func (d *Drains) begin(ctx context.Context, spec *platform.DrainSpec, stream string) (err error) {
	if spec.After >= 0 {
		return nil
	}
	if spec.After, err = d.Logs.End(stream); err != nil {
		return err
	}
	return d.Platform.ReportDrain(ctx, spec.ID, logs.DrainReport{After: spec.After})
}
