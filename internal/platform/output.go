package platform

import (
	"context"
	"iter"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

const (
	checkEvery = 5 * time.Second // how often a stream's access is checked again
	sealGrace  = 3 * time.Second // for the last lines of what is done, if its stream is not sealed
)

// BuildOutput yields the build's lines and, with follow, those to come, until
// the build is done.
func (p *Platform) BuildOutput(ctx context.Context, ref string, number int, follow bool) (iter.Seq2[logs.Line, error], error) {
	return p.output(ctx, follow, func(w *work) (string, bool, error) {
		_, b, err := w.build(ref, number, stead.ActRead)
		return logs.BuildStream(b.ID), b.State.Done(), err
	})
}

// ReleaseOutput is BuildOutput for a release: its release phase, each instance
// coming up, the URL or why it failed.
func (p *Platform) ReleaseOutput(ctx context.Context, ref string, version int, follow bool) (iter.Seq2[logs.Line, error], error) {
	return p.output(ctx, follow, func(w *work) (string, bool, error) {
		_, r, err := w.versioned(ref, version)
		return logs.ReleaseStream(r.ID), r.State.Done(), err
	})
}

func (p *Platform) output(ctx context.Context, follow bool, find func(*work) (stream string, done bool, err error)) (iter.Seq2[logs.Line, error], error) {
	return p.lines(ctx, logs.Query{Num: -1, Follow: follow}, find)
}

// Logs yields lines of the app.
func (p *Platform) Logs(ctx context.Context, ref string, q logs.Query) (iter.Seq2[logs.Line, error], error) {
	return p.lines(ctx, q, func(w *work) (string, bool, error) {
		a, err := w.app(ref, stead.ActRead)
		return logs.AppStream(a.ID), false, err
	})
}

// lines yields a stream that find names for the actor. While it follows, find
// is asked again: who loses access loses the stream, and what is done ends.
func (p *Platform) lines(ctx context.Context, q logs.Query, find func(*work) (string, bool, error)) (iter.Seq2[logs.Line, error], error) {
	if p.d.Logs == nil {
		return nil, stead.Unavailable("the platform keeps no logs", "start it with a place for them", nil)
	}
	var stream string
	look := func() (done bool, err error) {
		err = p.view(ctx, func(w *work) (err error) {
			if err := w.alive(); err != nil {
				return err
			}
			stream, done, err = find(w)
			return err
		})
		return done, err
	}
	if _, err := look(); err != nil {
		return nil, err
	}
	name := stream
	return func(yield func(logs.Line, error) bool) {
		ctx, stop := ctx, func() {}
		if q.Follow {
			ctx, stop = p.until(ctx, look)
		}
		defer stop()
		for l, err := range p.d.Logs.Tail(ctx, name, q) {
			if !yield(l, err) {
				return
			}
		}
		if e, ok := context.Cause(ctx).(*stead.Error); ok {
			yield(logs.Line{}, e)
		}
	}, nil
}

// until returns a context that ends a little after look says done, or with the
// error of look as its cause. stop must be called.
func (p *Platform) until(ctx context.Context, look func() (done bool, err error)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() { // joined by stop
		defer close(ended)
		wake, release := p.bell.listen(TopicEvents)
		defer release()
		cancel(p.watch(ctx, wake, look))
	}()
	return ctx, func() { cancel(nil); <-ended }
}

func (p *Platform) watch(ctx context.Context, wake <-chan struct{}, look func() (bool, error)) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		done, err := look()
		if err != nil && stead.KindOf(err) != stead.KindInternal {
			return err
		}
		if done {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
	last := time.NewTimer(sealGrace)
	defer last.Stop()
	select {
	case <-ctx.Done():
	case <-last.C:
	}
	return nil
}

// guard returns a context that ends when the actor may no longer act on the
// app, with the error as its cause. stop must be called.
func (p *Platform) guard(ctx context.Context, ref string, act stead.Action) (context.Context, func()) {
	return p.until(ctx, func() (done bool, err error) {
		err = p.view(ctx, func(w *work) error {
			if err := w.alive(); err != nil {
				return err
			}
			_, err := w.app(ref, act)
			return err
		})
		return false, err
	})
}
