package logs

import (
	"container/list"
	"fmt"
	"os"
	"sync"
)

// files bounds how many streams keep their newest segment open.
type files struct {
	mu    sync.Mutex
	order list.List // of *stream, the one used last in front
	max   int
}

// openFile opens the newest segment for appending and closes the one that was
// used longest ago, if there are too many. s.mu is held.
func (s *stream) openFile() error {
	if s.file == nil {
		f, err := os.OpenFile(s.path(s.segs[len(s.segs)-1].base), os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("open log stream %s: %w", s.name, err)
		}
		s.file = f
	}
	s.store.files.use(s)
	return nil
}

func (s *stream) closeFile() {
	if s.file != nil {
		_ = s.file.Close() // nothing is buffered on our side
		s.file = nil
	}
}

func (f *files) use(s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.open != nil {
		f.order.MoveToFront(s.open)
		return
	}
	s.open = f.order.PushFront(s)
	for e := f.order.Back(); e != nil && f.order.Len() > f.max; {
		old := e.Value.(*stream)
		e = e.Prev()
		if old == s || !old.mu.TryLock() { // a busy one is not idle; the next use tries again
			continue
		}
		old.closeFile()
		old.mu.Unlock()
		f.order.Remove(old.open)
		old.open = nil
	}
}

// drop closes the stream's file. s.mu is held.
func (f *files) drop(s *stream) {
	s.closeFile()
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.open != nil {
		f.order.Remove(s.open)
		s.open = nil
	}
}
