package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// drainLimit is how long output may still come after a command ended, from
// what it left in the background.
const drainLimit = 2 * time.Second

// Exec implements engine.Engine.
func (e *Engine) Exec(ctx context.Context, id string, c engine.Command, s engine.Streams) (int, error) {
	i := e.instance(id)
	if i == nil {
		return 0, stead.NotFound("instance", id)
	}
	if st := i.status(nil); st.State != engine.StateUp || i.container() == "" {
		return 0, stead.Precondition("instance "+i.name+" is "+string(st.State)+", not up", "wait until it is up, or choose another one")
	}
	if len(c.Args) == 0 {
		return 0, stead.Invalid("command", "there is no command to run", "name one, such as \"ls\"")
	}
	t, err := e.task(ctx, i.container())
	if err != nil {
		return 0, execError(c, err)
	}
	proc, err := i.process(ctx, t, c)
	if err != nil {
		return 0, execError(c, err)
	}
	if c.TTY {
		proc.ConsoleSize = firstSize(ctx, s)
	}
	return e.exec(ctx, t, proc, c, s)
}

// sizeLimit is how long a command waits for the size of its terminal.
const sizeLimit = 250 * time.Millisecond

// firstSize waits a moment for the terminal's size, so that the command sees it
// from its start; nil if none comes. Writing nothing makes a client that is
// connected lazily speak.
func firstSize(ctx context.Context, s engine.Streams) *specs.Box {
	if s.Resize == nil || s.Stdout == nil {
		return nil
	}
	if _, err := s.Stdout.Write(nil); err != nil {
		return nil
	}
	limit := time.NewTimer(sizeLimit)
	defer limit.Stop()
	select {
	case w, ok := <-s.Resize:
		if ok {
			return &specs.Box{Height: uint(w.Rows), Width: uint(w.Cols)}
		}
	case <-limit.C:
	case <-ctx.Done():
	}
	return nil
}

// process is the instance's own, with another command.
func (i *instance) process(ctx context.Context, t client.Task, c engine.Command) (*specs.Process, error) {
	spec, err := t.Spec(ctx)
	if err != nil {
		return nil, err
	}
	p := *spec.Process
	p.Args, p.Terminal, p.Env = c.Args, c.TTY, slices.Clone(p.Env)
	if spec.Annotations[envNote] != "" {
		img, err := i.e.image(ctx, i.w.Image)
		if err != nil {
			return nil, err
		}
		p.Env = i.env(img)
	}
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		p.Env = append(p.Env, k+"="+c.Env[k])
	}
	if c.TTY && !slices.ContainsFunc(p.Env, func(v string) bool { return len(v) > 5 && v[:5] == "TERM=" }) {
		p.Env = append(p.Env, "TERM=xterm")
	}
	return &p, nil
}

func (e *Engine) exec(ctx context.Context, t client.Task, spec *specs.Process, c engine.Command, s engine.Streams) (int, error) {
	dir, err := os.MkdirTemp(e.cfg.RunDir, "x")
	if err != nil {
		return 0, fmt.Errorf("make directory for streams: %w", err)
	}
	defer os.RemoveAll(dir)
	own := context.WithoutCancel(ctx)
	var proc client.Process
	started := make(chan struct{}) // input can be closed only then
	release := sync.OnceFunc(func() { close(started) })
	defer release()
	opts := []cio.Opt{cio.WithFIFODir(dir), streams(c, s, func() {
		<-started
		if proc != nil {
			_ = proc.CloseIO(own, client.WithStdinCloser)
		}
	})}
	if c.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	proc, err = t.Exec(own, "x"+string(stead.NewID(time.Now())), spec, cio.NewCreator(opts...))
	if err != nil {
		return 0, execError(c, err)
	}
	defer e.dropProcess(own, proc)
	exited, err := proc.Wait(own)
	if err != nil {
		return 0, execError(c, err)
	}
	if err := proc.Start(own); err != nil {
		return 0, execError(c, err)
	}
	release()
	return e.follow(ctx, proc, exited, s.Resize)
}

// follow stays with a command until it ended. When ctx ends, so does it.
func (e *Engine) follow(ctx context.Context, proc client.Process, exited <-chan client.ExitStatus, sizes <-chan engine.Window) (int, error) {
	own := context.WithoutCancel(ctx)
	done := ctx.Done()
	for {
		select {
		case <-done:
			done = nil
			_ = proc.Kill(own, syscall.SIGKILL)
		case w, ok := <-sizes:
			if !ok {
				sizes = nil
				continue
			}
			if err := proc.Resize(own, uint32(w.Cols), uint32(w.Rows)); err != nil {
				e.log.Debug("terminal not resized", "error", err)
			}
		case st := <-exited:
			code, _, err := st.Result()
			drain(proc)
			if err != nil {
				return 0, stead.Unavailable("the command was lost", "try again", err)
			}
			return int(code), ctx.Err()
		}
	}
}

// drain waits for the last output.
func drain(proc client.Process) {
	done := make(chan struct{})
	go func() {
		proc.IO().Wait()
		close(done)
	}()
	t := time.NewTimer(drainLimit)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

func (e *Engine) dropProcess(ctx context.Context, proc client.Process) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := proc.Delete(ctx, client.WithProcessKill); err != nil {
		e.log.Debug("command not removed", "error", err)
	}
}

// streams connects what is there; closed is called when the input ends.
func streams(c engine.Command, s engine.Streams, closed func()) cio.Opt {
	in, out, errs := s.Stdin, s.Stdout, s.Stderr
	if in == nil {
		in = eof{}
	}
	if out == nil {
		out = io.Discard
	}
	if errs == nil {
		errs = io.Discard
	}
	return cio.WithStreams(&closing{r: in, closed: closed}, out, errs)
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// closing tells when its reader is at its end.
type closing struct {
	r      io.Reader
	closed func()
}

func (c *closing) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && c.closed != nil {
		c.closed()
		c.closed = nil
	}
	return n, err
}

func execError(c engine.Command, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	spec := &specs.Spec{Process: &specs.Process{Args: c.Args}}
	if e := startError("run command", err, spec); stead.KindOf(e) != stead.KindInternal {
		return e
	}
	return stead.Unavailable("the command could not be run", "see whether the instance is still up, and try again", err)
}
