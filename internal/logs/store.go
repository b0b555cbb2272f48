package logs

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/steadpaas/stead"
)

// Limits are the budgets of a Store. Zero values stand for the defaults.
type Limits struct {
	App     int64 // bytes of one app's stream; 64 MiB
	Other   int64 // bytes of any other stream; 16 MiB
	Total   int64 // bytes of all streams; 8 GiB
	Open    int   // segments open for appending at once; 256
	Streams int   // idle streams whose state is kept in memory; 4096
}

func (l Limits) withDefaults() Limits {
	set := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.App, 64<<20)
	set(&l.Other, 16<<20)
	set(&l.Total, 8<<30)
	if l.Open <= 0 {
		l.Open = 256
	}
	if l.Streams <= 0 {
		l.Streams = 4096
	}
	return l
}

// Store keeps streams of lines in a directory of which it is the only user. It
// is an Appender and a Tailer, safe for concurrent use.
type Store struct {
	dir    string
	limits Limits
	log    *slog.Logger
	lock   *os.File
	total  atomic.Int64 // bytes of all segments
	files  files
	sweep  sync.Mutex
	closed chan struct{}

	mu      sync.Mutex
	streams map[string]*stream
	order   list.List // of *stream, the one used last in front
}

var errClosed = errors.New("log store is closed")

// Open opens the store in dir, which is made if it is not there. It fails when
// another process has it open.
func Open(dir string, l Limits, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	st := &Store{dir: dir, limits: l.withDefaults(), log: log, lock: lock,
		closed: make(chan struct{}), streams: map[string]*stream{}}
	st.files.max = st.limits.Open
	if err := st.measure(); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return st, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, stead.Unavailable("the log directory "+dir+" is in use by another process",
			"stop the other steadd, or give this one a data directory of its own", err)
	}
	return f, nil
}

// measure finishes deletions that a crash broke off and adds up what is there.
func (st *Store) measure() error {
	if err := os.RemoveAll(st.trash()); err != nil {
		return fmt.Errorf("clean log directory: %w", err)
	}
	segs, err := st.walk()
	for _, g := range segs {
		st.total.Add(g.size)
	}
	return err
}

func (st *Store) trash() string { return filepath.Join(st.dir, ".trash") }

// Close ends all followers and closes all files. Lines that Append took are
// safe without it.
func (st *Store) Close() error {
	st.mu.Lock()
	if st.isClosed() {
		st.mu.Unlock()
		return nil
	}
	close(st.closed)
	all := slices.Collect(maps.Values(st.streams))
	st.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		st.files.drop(s)
		s.deleted = true
		s.mu.Unlock()
	}
	return st.lock.Close()
}

func (st *Store) isClosed() bool {
	select {
	case <-st.closed:
		return true
	default:
		return false
	}
}

var streamGrammar = regexp.MustCompile(`^[a-z]{1,20}/[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// acquire returns the stream of that name, which stays in memory until release.
func (st *Store) acquire(name string) (*stream, error) {
	if !streamGrammar.MatchString(name) {
		return nil, stead.Invalid("stream", fmt.Sprintf("%.80q does not name a log stream", name), "write kind/id, as in app/0198…")
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.isClosed() {
		return nil, errClosed
	}
	s := st.streams[name]
	if s == nil {
		s = st.newStream(name)
		st.streams[name] = s
		s.used = st.order.PushFront(s)
	}
	s.refs++
	st.order.MoveToFront(s.used)
	return s, nil
}

func (st *Store) newStream(name string) *stream {
	budget := st.limits.Other
	if strings.HasPrefix(name, "app/") {
		budget = st.limits.App
	}
	return &stream{store: st, name: name, dir: filepath.Join(st.dir, filepath.FromSlash(name)),
		budget: budget, segSize: min(max(budget/16, 4<<10), 4<<20)}
}

func (st *Store) release(s *stream) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s.refs--
	for e := st.order.Back(); e != nil && st.order.Len() > st.limits.Streams; {
		old := e.Value.(*stream)
		e = e.Prev()
		if old.refs == 0 {
			st.forget(old)
		}
	}
}

// forget drops the state of a stream. st.mu is held, which comes before the mu
// of a stream.
func (st *Store) forget(s *stream) {
	if st.streams[s.name] != s {
		return
	}
	delete(st.streams, s.name)
	st.order.Remove(s.used)
	s.mu.Lock()
	st.files.drop(s)
	s.mu.Unlock()
}

// with runs f on the loaded stream, locked. A stream that is deleted meanwhile
// is taken anew.
func (st *Store) with(name string, f func(*stream) error) error {
	for {
		s, err := st.acquire(name)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if err = s.load(); err == nil {
			err = f(s)
		}
		gone := s.deleted
		s.mu.Unlock()
		if gone {
			st.mu.Lock()
			st.forget(s)
			st.mu.Unlock()
		}
		st.release(s)
		if !errors.Is(err, errDeleted) {
			return err
		}
	}
}

// maxOrigin is the longest origin of a line, in bytes.
const maxOrigin = 256

// Append implements Appender.
func (st *Store) Append(ctx context.Context, name string, lines ...Line) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, l := range lines {
		if len(l.Origin) > maxOrigin {
			return stead.Invalid("origin", "a log line's origin is longer than 256 bytes", "name it by a shorter id")
		}
	}
	if err := st.with(name, func(s *stream) error { return s.append(lines) }); err != nil {
		return err
	}
	return st.keepTotal()
}

// Pos implements Appender.
func (st *Store) Pos(name, origin string) (pos int64) {
	err := st.with(name, func(s *stream) error {
		pos = s.pos.get(origin)
		return nil
	})
	if err != nil {
		st.log.Error("log position unknown", "stream", name, "err", err)
	}
	return pos
}

// Seal implements Appender. Sealing twice, or a stream without lines, is fine.
func (st *Store) Seal(name string) error {
	return st.with(name, (*stream).seal)
}

// Delete removes the stream with its lines and its seal; followers end. An
// unknown stream is no error.
func (st *Store) Delete(name string) error {
	return st.with(name, st.remove)
}

func (st *Store) remove(s *stream) error {
	if err := os.MkdirAll(st.trash(), 0o700); err != nil {
		return fmt.Errorf("delete log stream %s: %w", s.name, err)
	}
	dead := filepath.Join(st.trash(), strings.ReplaceAll(s.name, "/", "."))
	if err := os.Rename(s.dir, dead); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete log stream %s: %w", s.name, err)
	}
	st.files.drop(s)
	for _, g := range s.segs {
		st.total.Add(-g.size)
	}
	s.deleted = true
	s.wake()
	return os.RemoveAll(dead)
}
