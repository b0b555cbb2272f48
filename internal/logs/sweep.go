package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// found is a segment as a walk of the directory sees it.
type found struct {
	stream string
	segment
	last    bool // of its stream
	changed time.Time
}

// walk returns all segments of all streams.
func (st *Store) walk() ([]found, error) {
	dirs, err := filepath.Glob(filepath.Join(st.dir, "*", "*"))
	if err != nil {
		return nil, fmt.Errorf("list log streams: %w", err)
	}
	var all []found
	for _, dir := range dirs {
		name, err := filepath.Rel(st.dir, dir)
		if err != nil || !streamGrammar.MatchString(filepath.ToSlash(name)) {
			continue
		}
		segs, err := walkStream(dir)
		if err != nil {
			return nil, fmt.Errorf("list log stream %s: %w", name, err)
		}
		for i := range segs {
			segs[i].stream = filepath.ToSlash(name)
		}
		all = append(all, segs...)
	}
	return all, nil
}

func walkStream(dir string) ([]found, error) {
	entries, err := os.ReadDir(dir) // sorted: oldest first
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var segs []found
	for _, e := range entries {
		base, ok := parseSegment(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		segs = append(segs, found{segment: segment{base, info.Size()}, changed: info.ModTime()})
	}
	if n := len(segs); n > 0 {
		segs[n-1].last = true
	}
	return segs, nil
}

// tiny is the size up to which a stream's last segment is not worth replacing.
const tiny = 4 << 10

// keepTotal removes the oldest segments of all streams when they are together
// over budget, down to nine tenths of it, so that it seldom has to.
func (st *Store) keepTotal() error {
	if st.total.Load() <= st.limits.Total || !st.sweep.TryLock() {
		return nil
	}
	defer st.sweep.Unlock()
	all, err := st.walk()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b found) int { return a.changed.Compare(b.changed) })
	before := st.total.Load()
	for _, g := range all {
		if st.total.Load() <= st.limits.Total/10*9 {
			break
		}
		if g.last && g.size <= tiny {
			continue
		}
		if err := st.with(g.stream, func(s *stream) error { return s.dropThrough(g.base) }); err != nil {
			return err
		}
	}
	st.log.Info("oldest log segments removed", "bytes", before-st.total.Load(), "limit", st.limits.Total)
	return nil
}
