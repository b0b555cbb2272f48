package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead/internal/logs"
	"golang.org/x/sys/unix"
)

const (
	tailBatch   = 1 << 20               // read at a time
	tailPause   = 50 * time.Millisecond // between batches: at most 20 MiB/s an instance
	tailBacklog = 64 << 20              // unread bytes beyond which output is dropped
	tailKeep    = 1 << 20               // of what is dropped, this much of the end is kept
	tailBlock   = 4096                  // consumed space is freed in blocks of this size
)

// tail carries one container's output to the logs.
type tail struct {
	e                          *Engine
	container, stream, process string
	out, err                   source

	wake chan struct{}
	last chan struct{} // closed: the files are complete
	once sync.Once
	done chan struct{}
}

// source is one of the two files.
type source struct {
	tail   *tail
	path   string
	name   string // logs.Line.Stream
	origin string // logs.Line.Origin
	pos    int64  // behind the last line appended
	freed  int64
}

func (t *tail) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// finish waits until all that was written is in the logs.
func (t *tail) finish(ctx context.Context) {
	t.once.Do(func() { close(t.last) })
	select {
	case <-ctx.Done():
	case <-t.done:
	}
}

func (t *tail) run(ctx context.Context) {
	defer close(t.done)
	defer t.e.tails.close(t.container)
	for _, s := range t.sources() {
		s.pos = t.e.cfg.Logs.Pos(t.stream, s.origin)
	}
	for complete := false; ; {
		more := t.pass(ctx, complete)
		switch {
		case ctx.Err() != nil, complete && !more:
			return
		case more:
			pause(ctx, tailPause)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-t.last:
			complete = true
		case <-t.wake:
		}
	}
}

func (t *tail) sources() []*source { return []*source{&t.out, &t.err} }

// pass carries a batch of each file, and reports whether there is more.
func (t *tail) pass(ctx context.Context, complete bool) (more bool) {
	for _, s := range t.sources() {
		m, err := s.carry(ctx, complete)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			t.e.log.Warn("output not carried", "container", t.container, "error", err)
			continue
		}
		more = more || m
	}
	return more
}

// carry appends the next lines, and frees the space they took.
func (s *source) carry(ctx context.Context, complete bool) (more bool, err error) {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= s.pos {
		return false, err
	}
	lines := s.skip(info.Size())
	buf := make([]byte, min(info.Size()-s.pos, tailBatch))
	n, err := f.ReadAt(buf, s.pos)
	if err != nil && err != io.EOF {
		return false, err
	}
	atEnd := s.pos+int64(n) >= info.Size()
	found, used := s.split(buf[:n], complete && atEnd)
	if lines = append(lines, found...); len(lines) > 0 && s.tail.stream != "" {
		if err := s.tail.e.cfg.Logs.Append(ctx, s.tail.stream, lines...); err != nil {
			return false, err
		}
	}
	s.pos += used
	s.free(f)
	return !atEnd, nil
}

// skip leaves output out when it comes faster than it can be carried, and
// returns the line that says so.
func (s *source) skip(size int64) []logs.Line {
	if size-s.pos <= tailBacklog {
		return nil
	}
	dropped := size - tailKeep - s.pos
	s.pos += dropped
	return []logs.Line{{At: time.Now(), Source: "stead", Process: s.tail.process, Origin: s.origin, Pos: s.pos,
		Text: fmt.Sprintf("Dropped %d bytes of output: it was written faster than it can be kept", dropped)}}
}

// split cuts data into lines. An unfinished last line waits for its rest,
// unless it is too long already or nothing follows.
func (s *source) split(data []byte, final bool) (lines []logs.Line, used int64) {
	now := time.Now()
	for len(data) > 0 {
		end, next := bytes.IndexByte(data, '\n'), 0
		switch {
		case end >= 0 && end <= logs.MaxLine:
			next = end + 1
		case len(data) > logs.MaxLine:
			end = logs.MaxLine
			next = end
		case final:
			end = len(data)
			next = end
		default:
			return lines, used
		}
		used += int64(next)
		text := strings.ToValidUTF8(strings.TrimSuffix(string(data[:end]), "\r"), "\uFFFD")
		for _, part := range cut(text) {
			lines = append(lines, logs.Line{At: now, Source: "app", Process: s.tail.process, Stream: s.name,
				Text: part, Origin: s.origin, Pos: s.pos + used})
		}
		data = data[next:]
	}
	return lines, used
}

// cut keeps a text that grew by replacing bad bytes within the limit.
func cut(text string) []string {
	var out []string
	for len(text) > logs.MaxLine {
		at := logs.MaxLine
		for at > 0 && text[at]&0xC0 == 0x80 {
			at--
		}
		out, text = append(out, text[:at]), text[at:]
	}
	return append(out, text)
}

// free gives the space of consumed output back; the file's size stays.
func (s *source) free(f *os.File) {
	upto := s.pos / tailBlock * tailBlock
	if upto-s.freed < 16*tailBlock {
		return
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.freed, upto-s.freed); err != nil {
		s.tail.e.log.Warn("output not freed", "path", s.path, "error", err)
	}
	s.freed = upto
}
