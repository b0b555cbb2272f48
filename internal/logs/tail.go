package logs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"time"
)

// window is how much of a segment is read at once, in bytes.
const window = 128 << 10

// view is a stream at one moment. Bytes below a segment's size never change.
type view struct {
	segs    []segment
	next    int64
	ended   bool // no more lines will come
	changed <-chan struct{}
}

func (s *stream) view() (view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(); err != nil && !errors.Is(err, errDeleted) {
		return view{}, err
	}
	if s.deleted {
		return view{ended: true}, nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return view{slices.Clone(s.segs), s.next, s.sealed, s.changed}, nil
}

// tail is one reader. It holds no file open between reads, so that segments can
// be removed under it: it notices, and says how many lines it missed.
type tail struct {
	s    *stream
	q    Query
	base int64 // of the segment it reads; -1: none yet
	off  int64 // in that segment
	seq  int64 // number of the next line
	lost int64 // the segment that was last found missing
	buf  []byte
	emit func(Line, error) bool
}

// errStopped says that the consumer wants no more lines.
var errStopped = errors.New("reader stopped")

// Tail implements Tailer. It ends without an error when ctx does. A reader that
// is so slow that lines are removed before it comes to them is given a line
// from "stead" that says how many.
func (st *Store) Tail(ctx context.Context, stream string, q Query) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s, err := st.acquire(stream)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer st.release(s)
		t := &tail{s: s, q: q, base: -1, lost: -1, emit: yield}
		if err := t.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(Line{}, fmt.Errorf("read log stream %s: %w", stream, err))
		}
	}
}

// End returns the Seq of a stream's newest line, 0 if there never was one.
func (st *Store) End(stream string) (int64, error) {
	s, err := st.acquire(stream)
	if err != nil {
		return 0, err
	}
	defer st.release(s)
	v, err := s.view()
	return v.next, err
}

func (t *tail) run(ctx context.Context) error {
	v, err := t.s.view()
	if err != nil {
		return err
	}
	if err := t.seek(v); err != nil {
		return err
	}
	for {
		again, err := t.drain(ctx, v)
		if err != nil {
			return err
		}
		if !again && (!t.q.Follow || v.ended) || ctx.Err() != nil {
			return nil
		}
		if !again {
			select {
			case <-v.changed:
			case <-ctx.Done():
				return nil
			case <-t.s.store.closed:
				return nil
			}
		}
		if v, err = t.s.view(); err != nil {
			return err
		}
	}
}

// seek goes to the first of the last Num lines.
func (t *tail) seek(v view) error {
	if t.q.After > v.next { // the numbers began anew: nothing of what follows was given
		t.q.After, t.q.Num = 0, -1
	}
	if t.q.After > 0 {
		t.seekAfter(v)
		return nil
	}
	if t.q.Num < 0 && len(v.segs) > 0 {
		t.base, t.off, t.seq = v.segs[0].base, int64(len(magic)), v.segs[0].base
	}
	if t.q.Num < 0 || len(v.segs) == 0 {
		return nil
	}
	missing, end := t.q.Num, v.next
	for i := len(v.segs) - 1; i >= 0; i-- {
		g := v.segs[i]
		off, lines, left, err := t.seekSegment(g, missing)
		if errors.Is(err, fs.ErrNotExist) && i < len(v.segs)-1 {
			break // removed meanwhile: begin at the segment behind it
		}
		if err != nil {
			return err
		}
		t.base, t.off, t.seq = g.base, off, end-lines
		if missing, end = left, g.base; missing == 0 {
			break
		}
	}
	return nil
}

// seekAfter goes to the segment that holds the line behind q.After. If it is
// gone, the reader will be told how many lines it missed.
func (t *tail) seekAfter(v view) {
	t.seq = t.q.After
	for _, g := range slices.Backward(v.segs) {
		if g.base <= t.q.After {
			t.base, t.off, t.seq = g.base, int64(len(magic)), g.base
			return
		}
	}
}

// seekSegment walks back from the end of a segment until it has passed so many
// lines that match, or all. It returns where it stopped, how many lines of any
// kind lie behind, and how many that match are still missing.
func (t *tail) seekSegment(g segment, missing int) (off, lines int64, left int, err error) {
	off = g.size
	if missing == 0 {
		return off, 0, 0, nil
	}
	f, err := os.Open(t.s.path(g.base))
	if err != nil {
		return 0, 0, 0, err
	}
	defer f.Close()
	b := backward{r: f}
	for missing > 0 && off > int64(len(magic)) {
		payload, size, err := b.before(off)
		if err != nil {
			break // damaged: what lies before it cannot be found from here
		}
		off -= size
		if payload[0] != kindLine {
			continue
		}
		lines++
		if l, err := decodeLine(payload); err == nil && t.q.match(string(l.source), string(l.process)) {
			missing--
		}
	}
	return off, lines, missing, nil
}

// backward reads frames of a segment from their end.
type backward struct {
	r    io.ReaderAt
	from int64 // offset of buf in the file
	buf  []byte
}

// before returns the payload of the frame that ends at off, and its size.
func (b *backward) before(off int64) ([]byte, int64, error) {
	tail, err := b.slice(off-frameTail, off)
	if err != nil {
		return nil, 0, err
	}
	size := frameHead + int64(binary.LittleEndian.Uint32(tail)) + frameTail
	if size > maxFrame || size > off-int64(len(magic)) {
		return nil, 0, errDamaged
	}
	frame, err := b.slice(off-size, off)
	if err != nil {
		return nil, 0, err
	}
	payload, _, err := readFrame(frame)
	return payload, size, err
}

func (b *backward) slice(from, to int64) ([]byte, error) {
	if from < 0 {
		return nil, errDamaged
	}
	if from < b.from || to > b.from+int64(len(b.buf)) {
		start := max(0, min(from, to-window))
		b.buf = slices.Grow(b.buf[:0], int(to-start))[:to-start]
		b.from = start
		if _, err := b.r.ReadAt(b.buf, start); err != nil {
			b.buf = b.buf[:0]
			return nil, err
		}
	}
	return b.buf[from-b.from : to-b.from], nil
}

// drain reads from where the reader is to the end of the view. Again: the view
// is out of date, take a new one at once.
func (t *tail) drain(ctx context.Context, v view) (again bool, err error) {
	for {
		i := slices.IndexFunc(v.segs, func(g segment) bool { return g.base >= t.base && t.base >= 0 || t.base < 0 })
		if i < 0 {
			return false, nil
		}
		if v.segs[i].base != t.base {
			if err := t.jump(v.segs[i].base); err != nil {
				return false, err
			}
		}
		err := t.segment(ctx, v.segs[i])
		if errors.Is(err, fs.ErrNotExist) && t.lost != t.base {
			t.lost = t.base
			return true, nil
		}
		if errors.Is(err, fs.ErrNotExist) { // not removed by us
			t.off = v.segs[i].size
			err = t.notice("a part of the log is missing")
		}
		if err != nil || ctx.Err() != nil {
			return false, err
		}
		if i == len(v.segs)-1 {
			return false, nil
		}
		if err := t.jump(v.segs[i+1].base); err != nil {
			return false, err
		}
	}
}

// jump goes to the begin of a segment and tells of lines missed on the way.
func (t *tail) jump(base int64) error {
	missed := base - t.seq
	t.base, t.off, t.seq = base, int64(len(magic)), base
	if missed <= 0 {
		return nil
	}
	return t.notice("dropped " + strconv.FormatInt(missed, 10) + " lines: they left the log's budget before this reader came to them")
}

func (t *tail) notice(text string) error {
	if !t.emit(Line{At: time.Now().UTC(), Source: "stead", Process: "logs", Text: text, Seq: t.seq}, nil) {
		return errStopped
	}
	return nil
}

// segment gives the lines of a segment from t.off on.
func (t *tail) segment(ctx context.Context, g segment) error {
	if t.off >= g.size {
		return nil
	}
	f, err := os.Open(t.s.path(g.base))
	if err != nil {
		return err
	}
	defer f.Close()
	need := window
	for t.off < g.size && ctx.Err() == nil {
		n := int(min(int64(need), g.size-t.off))
		t.buf = slices.Grow(t.buf[:0], n)[:n]
		if _, err := f.ReadAt(t.buf, t.off); err != nil {
			return err
		}
		more, err := t.frames(t.buf)
		if err != nil {
			return err
		}
		if more < 0 || more > 0 && t.off+int64(more) > g.size { // nothing behind a damaged frame can be found
			t.off = g.size
			return t.notice("a part of the log is damaged and left out")
		}
		need = max(window, more)
	}
	return nil
}

// frames gives the lines of the whole frames in b. It returns the size of the
// frame that b ends in, 0 if that is not known, -1 if a frame is damaged.
func (t *tail) frames(b []byte) (more int, err error) {
	for len(b) > 0 {
		payload, size, err := readFrame(b)
		switch {
		case errors.Is(err, errShort):
			return max(size, frameHead), nil
		case err != nil:
			return -1, nil
		}
		b = b[size:]
		t.off += int64(size)
		if payload[0] != kindLine {
			continue
		}
		if err := t.give(payload); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (t *tail) give(payload []byte) error {
	t.seq++
	if t.seq <= t.q.After {
		return nil
	}
	l, err := decodeLine(payload)
	if err != nil || !t.q.match(string(l.source), string(l.process)) {
		return nil
	}
	line := l.line()
	line.Seq = t.seq
	if !t.emit(line, nil) {
		return errStopped
	}
	return nil
}
