package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

// exit says how a process ended.
type exit struct {
	cause  engine.Cause
	reason string
	code   *int
}

func exited(code int) exit {
	return exit{engine.CauseExit, "exit status " + strconv.Itoa(code), &code}
}

// instance is one copy of a workload.
type instance struct {
	e        *Engine
	w        engine.Workload
	index    int
	ctx      context.Context // ends when the instance is to stop
	cancel   context.CancelFunc
	kill     chan exit     // from Crash and the like
	stopping bool          // guarded by Engine.mu
	status   engine.Status // guarded by Engine.mu
	pos      int64         // lines written; used by the instance's goroutine
}

func (i *instance) outOfMemory() exit {
	code := 137
	return exit{engine.CauseMemory, fmt.Sprintf("killed for memory (%d MiB)", i.w.Size.Memory>>20), &code}
}

// run keeps the instance until it is stopped.
func (i *instance) run() {
	defer i.e.update(i, engine.StateGone, exit{})
	defer i.cancel()
	for wait := i.e.Backoff; ; wait = min(wait*2, i.e.Backoff*64) {
		x := i.once()
		if i.ctx.Err() != nil {
			return
		}
		i.setAddress(netip.AddrPort{})
		if i.w.Task {
			i.e.update(i, engine.StateExited, x)
			<-i.ctx.Done()
			return
		}
		i.e.update(i, engine.StateCrashed, x)
		select {
		case <-i.ctx.Done():
			return
		case <-time.After(wait):
		}
		i.restarted()
	}
}

func (i *instance) restarted() {
	i.e.mu.Lock()
	i.status.Restarts++
	i.e.mu.Unlock()
	i.e.update(i, engine.StateStarting, exit{})
}

func (i *instance) setAddress(a netip.AddrPort) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	i.status.Address = a
}

func (i *instance) up() {
	i.e.mu.Lock()
	i.status.Stages = []stead.Stage{{Name: "start", Seconds: time.Since(i.status.Since).Seconds()}}
	i.e.mu.Unlock()
	i.e.update(i, engine.StateUp, exit{})
}

// once runs the instance's process to its end.
func (i *instance) once() exit {
	if i.w.Hold {
		i.up()
		return i.wait()
	}
	p := parse(i.w.Command)
	if i.w.Port != 0 && (p.verb == "never-bind" || strings.Contains(i.w.Image, FailBoot)) {
		i.write("stderr", "this program never binds its port")
		return exit{cause: engine.CauseBoot, reason: fmt.Sprintf("did not bind port %d within %d s", i.w.Port, i.w.Health.BootLimit)}
	}
	if p.verb == "allocate" {
		return i.outOfMemory()
	}
	if p.runs() || i.w.Task {
		return i.command(p)
	}
	if i.w.Port == 0 {
		i.up()
		return i.wait()
	}
	return i.serve()
}

// command runs a program that ends by itself, its output going to the log.
func (i *instance) command(p program) exit {
	if i.w.Port == 0 {
		i.up()
	}
	out, errs := &lineWriter{i: i}, &lineWriter{i: i, stream: "stderr"}
	code := p.run(i.ctx, i.w.Env, engine.Streams{Stdout: out, Stderr: errs})
	out.flush()
	errs.flush()
	select {
	case x := <-i.kill:
		return x
	default:
		return exited(code)
	}
}

func (i *instance) wait() exit {
	select {
	case <-i.ctx.Done():
		return exit{}
	case x := <-i.kill:
		return x
	}
}

// serve is a web process. When it is stopped it finishes the requests it has,
// within StopGrace.
func (i *instance) serve() exit {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return exit{cause: engine.CauseBoot, reason: "no loopback port is free: " + err.Error()}
	}
	srv := &http.Server{Handler: i.handler(), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	i.e.wg.Go(func() { done <- srv.Serve(l) })
	i.setAddress(l.Addr().(*net.TCPAddr).AddrPort())
	i.write("", "listening on "+l.Addr().String())
	i.up()
	x := i.wait()
	grace := i.w.StopGrace
	if i.ctx.Err() == nil || i.e.ctx.Err() != nil {
		grace = 0 // a crash, or Close, finishes nothing
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
	<-done
	return x
}

func (i *instance) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from %s v%d %s\n", i.w.AppName, i.w.Release, i.status.Name)
	})
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, i.w.Env[r.FormValue("key")])
	})
	mux.HandleFunc("/hostname", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, i.status.Name)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.FormValue("ms"))
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(min(max(ms, 0), 600_000)) * time.Millisecond):
			_, _ = io.WriteString(w, "slow\n")
		}
	})
	mux.HandleFunc("POST /exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		select {
		case i.kill <- exited(code & 255):
		default:
		}
	})
	return mux
}

func (i *instance) write(stream, text string) {
	if i.e.lines == nil || i.w.LogStream == "" {
		return
	}
	i.pos++
	l := logs.Line{At: time.Now(), Source: "app", Process: i.status.Name, Stream: stream, Text: text,
		Origin: i.status.Instance, Pos: i.pos}
	if err := i.e.lines.Append(i.e.ctx, i.w.LogStream, l); err != nil && !errors.Is(err, context.Canceled) {
		i.e.log.Warn("log line lost", "instance", i.status.Instance, "err", err)
	}
}

// lineWriter makes log lines of output.
type lineWriter struct {
	i      *instance
	stream string
	rest   string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest += string(b)
	for {
		line, rest, ok := strings.Cut(w.rest, "\n")
		if !ok {
			return len(b), nil
		}
		w.i.write(w.stream, line)
		w.rest = rest
	}
}

func (w *lineWriter) flush() {
	if w.rest != "" {
		w.i.write(w.stream, w.rest)
		w.rest = ""
	}
}
