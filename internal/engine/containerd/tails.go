package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/steadpaas/stead/internal/logs"
)

// tails carry the output of all containers, which their shims write to files,
// to the logs. They may stop and go on at any time without losing a line.
type tails struct {
	e   *Engine
	add chan *tail
	end chan struct{} // closed when run ended

	mu    sync.Mutex
	files map[string]*tail // open ones, by container
}

func newTails(e *Engine) *tails {
	return &tails{e: e, add: make(chan *tail), end: make(chan struct{}), files: map[string]*tail{}}
}

// run follows the files as they are written. Should the kernel not tell of
// writes, a tick finds them.
func (t *tails) run(ctx context.Context) error {
	w, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		return fmt.Errorf("watch output: %w", err)
	}
	defer w.Close()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer close(t.end)
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-t.add:
			if err := w.Add(filepath.Dir(f.out.path)); err != nil {
				t.e.log.Warn("output not watched", "container", f.container, "error", err)
			}
			running.Go(func() { f.run(ctx) })
		case ev := <-w.Events:
			t.poke(filepath.Base(filepath.Dir(ev.Name)))
		case err := <-w.Errors:
			t.e.log.Warn("output events lost", "error", err)
		case <-tick.C:
			t.poke("")
		}
	}
}

// poke wakes the tail of a container, or all.
func (t *tails) poke(container string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, f := range t.files {
		if container == "" || id == container {
			f.poke()
		}
	}
}

// open follows the output of an instance's container. Opening it again gives
// the same tail. The origin of its lines names the instance first.
func (t *tails) open(container string, i *instance) *tail {
	t.mu.Lock()
	f := t.files[container]
	if f != nil {
		t.mu.Unlock()
		return f
	}
	f = &tail{e: t.e, container: container, stream: i.w.LogStream, process: i.name,
		wake: make(chan struct{}, 1), last: make(chan struct{}), done: make(chan struct{})}
	for _, s := range []struct {
		of   *source
		name string
		kind string
	}{{&f.out, "", "out"}, {&f.err, "stderr", "err"}} {
		*s.of = source{tail: f, path: t.e.outputFile(container, s.kind), name: s.name, origin: i.id + "/" + container + "/" + s.kind}
	}
	t.files[container] = f
	t.mu.Unlock()
	select {
	case t.add <- f:
	case <-t.end:
	}
	return f
}

func (t *tails) close(container string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.files, container)
}

// say appends a line of the platform's own.
func (t *tails) say(stream, process, text string) {
	if stream == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if len(text) > logs.MaxLine {
		text = text[:logs.MaxLine]
	}
	if err := t.e.cfg.Logs.Append(ctx, stream, logs.Line{At: time.Now(), Source: "stead", Process: process, Text: text}); err != nil {
		t.e.log.Warn("line not kept", "stream", stream, "error", err)
	}
}
