package logs

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/steadpaas/stead"
)

const segmentSuffix = ".log"

var errDeleted = errors.New("log stream was deleted")

// segment is one file. Lines of a stream are counted from 0; base is the number
// of the segment's first.
type segment struct{ base, size int64 }

// stream is what is known of one stream while it is in use.
type stream struct {
	store   *Store
	name    string
	dir     string
	budget  int64
	segSize int64

	refs int           // guarded by Store.mu
	used *list.Element // guarded by Store.mu
	open *list.Element // guarded by Store.files.mu; set while file is open

	mu      sync.Mutex
	loaded  bool
	sealed  bool
	deleted bool
	segs    []segment // oldest first; lines are appended to the last
	next    int64     // the number of the next line
	pos     positions
	file    *os.File // the last segment, or nil
	buf     []byte
	written []originPos   // of the lines in the frames that are being made
	changed chan struct{} // closed at the next change
}

func (s *stream) path(base int64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x", base)+segmentSuffix)
}

// load reads the state of the stream from disk, once, and cuts off what a
// crash left half-written. s.mu is held.
func (s *stream) load() error {
	if s.deleted {
		return errDeleted
	}
	if s.loaded {
		return nil
	}
	segs, err := listSegments(s.dir)
	if err != nil {
		return fmt.Errorf("open log stream %s: %w", s.name, err)
	}
	for len(segs) > 0 {
		ok, err := s.recoverLast(segs)
		if err != nil {
			return fmt.Errorf("recover log stream %s: %w", s.name, err)
		}
		if ok {
			break
		}
		last := segs[len(segs)-1]
		s.store.log.Warn("unreadable log segment removed", "stream", s.name, "bytes", last.size)
		if err := s.unlink(last); err != nil {
			return err
		}
		segs = segs[:len(segs)-1]
	}
	s.segs, s.loaded = segs, true
	return nil
}

// recoverLast reads the newest segment, which tells positions, the seal and
// the number of the next line. False: nothing of it is usable.
func (s *stream) recoverLast(segs []segment) (bool, error) {
	last := &segs[len(segs)-1]
	data, err := os.ReadFile(s.path(last.base))
	if err != nil {
		return false, err
	}
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return false, nil
	}
	good, lines := int64(len(magic)), int64(0)
	for {
		payload, n, err := readFrame(data[good:])
		if err != nil || !s.replay(payload) {
			break
		}
		if payload[0] == kindLine {
			lines++
		}
		good += int64(n)
	}
	if good == int64(len(magic)) {
		return false, nil
	}
	if cut := int64(len(data)) - good; cut > 0 {
		s.store.log.Warn("torn log tail cut off", "stream", s.name, "bytes", cut)
		if err := os.Truncate(s.path(last.base), good); err != nil {
			return false, err
		}
		s.store.total.Add(-cut)
	}
	last.size, s.next = good, last.base+lines
	return true, nil
}

func (s *stream) replay(payload []byte) bool {
	switch payload[0] {
	case kindLine:
		l, err := decodeLine(payload)
		if err != nil {
			return false
		}
		s.pos.note(string(l.origin), l.pos)
	case kindPositions:
		ps, err := decodePositions(payload)
		if err != nil {
			return false
		}
		for _, p := range ps {
			s.pos.note(p.origin, p.pos)
		}
	case kindSeal:
		s.sealed = true
	}
	return true
}

func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var segs []segment
	for _, e := range entries {
		base, ok := parseSegment(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		segs = append(segs, segment{base, info.Size()})
	}
	slices.SortFunc(segs, func(a, b segment) int { return int(a.base - b.base) })
	return segs, nil
}

func parseSegment(name string) (base int64, ok bool) {
	hex, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	base, err := strconv.ParseInt(hex, 16, 64)
	return base, err == nil && base >= 0
}

// append writes the lines. s.mu is held and the stream is loaded.
func (s *stream) append(lines []Line) error {
	if s.sealed {
		return &stead.Error{Kind: stead.KindPrecondition, Msg: "log stream " + s.name + " is sealed",
			Hint: "a finished build or release takes no more lines"}
	}
	b, pending := s.buf[:0], 0
	defer func() {
		s.keepBuffer(b)
		s.written = s.written[:0]
	}()
	for _, l := range lines {
		for piece := range pieces(l) {
			b = appendLine(b, piece)
			pending++
			if piece.Pos != 0 {
				s.written = append(s.written, originPos{piece.Origin, piece.Pos})
			}
			if s.activeSize()+int64(len(b)) >= s.segSize {
				if err := s.flush(b, pending); err != nil {
					return err
				}
				b, pending = b[:0], 0
			}
		}
	}
	if pending == 0 {
		return nil
	}
	return s.flush(b, pending)
}

func (s *stream) keepBuffer(b []byte) {
	if cap(b) <= 64<<10 {
		s.buf = b[:0]
	}
}

func (s *stream) activeSize() int64 {
	if len(s.segs) == 0 {
		return 0
	}
	return s.segs[len(s.segs)-1].size
}

// flush writes frames that hold so many lines and wakes the followers.
func (s *stream) flush(b []byte, lines int) error {
	if len(s.segs) == 0 || s.activeSize() >= s.segSize {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if err := s.openFile(); err != nil {
		return err
	}
	last := &s.segs[len(s.segs)-1]
	if _, err := s.file.WriteAt(b, last.size); err != nil { // what was written of it is overwritten by the next, or cut at the next load
		return fmt.Errorf("append to log stream %s: %w", s.name, err)
	}
	last.size += int64(len(b))
	s.next += int64(lines)
	s.store.total.Add(int64(len(b)))
	for _, p := range s.written { // not earlier: a new segment must not begin with positions of lines that are not there
		s.pos.note(p.origin, p.pos)
	}
	s.written = s.written[:0]
	s.wake()
	return nil
}

func (s *stream) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// rotate starts a new segment and removes the oldest ones over budget. The
// segment appears under its name with its first frames already in it.
func (s *stream) rotate() error {
	if n := len(s.segs); n > 0 && s.segs[n-1].base == s.next {
		return nil // the last one holds no line yet
	}
	b := appendPositions([]byte(magic), s.pos.list())
	if s.sealed {
		b = appendSeal(b)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make log stream %s: %w", s.name, err)
	}
	tmp := filepath.Join(s.dir, "new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("make log segment of %s: %w", s.name, err)
	}
	if err := os.Rename(tmp, s.path(s.next)); err != nil {
		return fmt.Errorf("make log segment of %s: %w", s.name, err)
	}
	s.closeFile()
	s.segs = append(s.segs, segment{s.next, int64(len(b))})
	s.store.total.Add(int64(len(b)))
	return s.trim()
}

// trim removes the oldest segments until the stream, with room for the newest
// segment to grow full, is within its budget.
func (s *stream) trim() error {
	sum := s.segSize - s.activeSize()
	for _, g := range s.segs {
		sum += g.size
	}
	for len(s.segs) > 1 && sum > s.budget {
		sum -= s.segs[0].size
		if err := s.dropFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) dropFirst() error {
	if err := s.unlink(s.segs[0]); err != nil {
		return err
	}
	s.segs = slices.Delete(s.segs, 0, 1)
	return nil
}

func (s *stream) unlink(g segment) error {
	if err := os.Remove(s.path(g.base)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove log segment of %s: %w", s.name, err)
	}
	s.store.total.Add(-g.size)
	return nil
}

// dropThrough removes the segments up to the one that begins at base. The last
// segment is replaced by one without lines, which keeps positions and seal.
func (s *stream) dropThrough(base int64) error {
	if n := len(s.segs); n > 0 && s.segs[n-1].base <= base {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	for len(s.segs) > 1 && s.segs[0].base <= base {
		if err := s.dropFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) seal() error {
	if s.sealed {
		return nil
	}
	if len(s.segs) == 0 {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if err := s.flush(appendSeal(nil), 0); err != nil {
		return err
	}
	s.sealed = true
	s.store.files.drop(s)
	return nil
}

// pieces yields the line cut at newlines and at MaxLine, as valid UTF-8. Only
// the last piece has the line's Pos.
func pieces(l Line) func(yield func(Line) bool) {
	return func(yield func(Line) bool) {
		if l.At.IsZero() {
			l.At = time.Now()
		}
		l.Source, l.Process, l.Stream = clip(l.Source), clip(l.Process), clip(l.Stream)
		rest, pos := strings.ToValidUTF8(l.Text, "\uFFFD"), l.Pos
		for more := true; more; {
			l.Text, rest, more = cutLine(rest)
			if l.Pos = 0; !more {
				l.Pos = pos
			}
			if !yield(l) {
				return
			}
		}
	}
}

func cutLine(s string) (first, rest string, more bool) {
	if i := strings.IndexByte(s[:min(len(s), MaxLine+1)], '\n'); i >= 0 {
		return s[:i], s[i+1:], i+1 < len(s)
	}
	if len(s) <= MaxLine {
		return s, "", false
	}
	cut := MaxLine
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut], s[cut:], true
}

// maxLabel is the longest source, process or stream mark of a line, in bytes.
const maxLabel = 128

func clip(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), maxLabel)], "\n", " "), "")
}
