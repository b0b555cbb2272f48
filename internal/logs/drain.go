package logs

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Sender delivers lines to where a drain leads.
type Sender interface {
	// Send delivers the lines, in order, and returns when the receiver has them
	// (as far as its protocol tells). On an error none or some may have arrived.
	// A *RefusedError says that they will not be taken another time either.
	Send(ctx context.Context, lines []Line) error
	Close() error
}

// RefusedError is a receiver's answer that it does not want these lines.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// DrainReport is how a drain does.
type DrainReport struct {
	After     int64 // Seq of the last line that is dealt with: go on behind it
	Delivered int64 // lines since the last report
	Dropped   int64 // lines that the receiver refused, since the last report
	Err       error // why lines wait, or were refused; nil: all is well
}

// The sizes and times of a drain's batches.
const (
	drainBatch  = 500                    // lines
	drainBytes  = 512 << 10              // of text
	drainWait   = 200 * time.Millisecond // for a batch to gather
	drainQueue  = 1000                   // lines read ahead
	drainRetry  = time.Second            // first wait after a failure
	drainLonger = time.Minute            // longest wait
)

// Drain sends the lines of a stream behind q.After until ctx ends or the stream
// does. While the receiver is away the lines wait on disk, within the stream's
// budget; those that leave the budget are counted in a line of their own, as
// for any slow reader. A line may arrive twice, none is lost otherwise.
func Drain(ctx context.Context, t Tailer, stream string, q Query, to Sender, report func(DrainReport)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q.Follow = true
	lines, failed := make(chan Line, drainQueue), make(chan error, 1)
	go func() { // ends with ctx, as Tail does
		defer close(lines)
		failed <- pump(ctx, t.Tail(ctx, stream, q), lines)
	}()
	for {
		batch := gather(ctx, lines)
		if len(batch) == 0 {
			return <-failed
		}
		if !deliver(ctx, to, batch, report) {
			cancel()
			for range lines { // until the reader has noticed
			}
			return nil
		}
	}
}

func pump(ctx context.Context, seq iter.Seq2[Line, error], lines chan<- Line) error {
	for l, err := range seq {
		if err != nil {
			return err
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// gather waits for a line, and a moment for more. None: there are no more.
func gather(ctx context.Context, lines <-chan Line) (batch []Line) {
	l, ok := <-lines
	if !ok {
		return nil
	}
	batch = append(batch, l)
	size := len(l.Text)
	limit := time.NewTimer(drainWait)
	defer limit.Stop()
	for len(batch) < drainBatch && size < drainBytes {
		select {
		case l, ok := <-lines:
			if !ok {
				return batch
			}
			batch = append(batch, l)
			size += len(l.Text)
		case <-limit.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// deliver sends the batch until it is taken or refused; false: ctx ended before.
func deliver(ctx context.Context, to Sender, batch []Line, report func(DrainReport)) bool {
	r := DrainReport{After: batch[len(batch)-1].Seq}
	for wait := drainRetry; ; wait = min(2*wait, drainLonger) {
		err := to.Send(ctx, batch)
		if err == nil {
			r.Delivered = int64(len(batch))
			report(r)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			r.Dropped, r.Err = int64(len(batch)), refused
			report(r)
			return true
		}
		report(DrainReport{After: batch[0].Seq - 1, Err: err})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}
