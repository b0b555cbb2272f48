package buildkit

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// MaxOutput is how much output a build may show, in bytes; the rest is counted.
const MaxOutput = 16 << 20

// maxLine is the longest line of output, in bytes; longer ones are cut.
const maxLine = 10_000

// printer turns the daemon's progress into lines for people: a line when a
// step starts, its output below, how long it took if that is worth saying.
type printer struct {
	print func(string)

	mu      sync.Mutex
	steps   map[digest.Digest]*step
	written int
	dropped int
	export  time.Time // when the image began to be written
}

type step struct {
	name    string
	shown   bool
	done    bool
	partial []byte // output without its newline yet
}

func newPrinter(print func(string)) *printer {
	if print == nil {
		print = func(string) {}
	}
	return &printer{print: print, steps: map[digest.Digest]*step{}}
}

// line shows one line.
func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.emit(fmt.Sprintf(format, args...))
}

func (p *printer) emit(s string) {
	if p.written += len(s) + 1; p.written > MaxOutput {
		if p.dropped++; p.dropped == 1 {
			p.print("(more than 16 MiB of output: the rest is not shown)")
		}
		return
	}
	p.print(s)
}

func (p *printer) status(st *client.SolveStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range st.Vertexes {
		p.vertex(v)
	}
	for _, l := range st.Logs {
		p.output(p.step(l.Vertex), l.Data)
	}
	for _, w := range st.Warnings {
		p.emit("warning: " + string(w.Short))
	}
}

func (p *printer) step(d digest.Digest) *step {
	s, ok := p.steps[d]
	if !ok {
		s = &step{}
		p.steps[d] = s
	}
	return s
}

func (p *printer) vertex(v *client.Vertex) {
	s := p.step(v.Digest)
	s.name = v.Name
	if v.Started != nil && p.export.IsZero() && strings.HasPrefix(v.Name, "exporting ") {
		p.export = *v.Started
	}
	if quietStep(v.Name) || s.done {
		return
	}
	if v.Started != nil && !s.shown && !v.Cached {
		s.shown = true
		p.emit("→ " + v.Name)
	}
	if v.Completed == nil {
		return
	}
	s.done = true
	p.flush(s)
	switch {
	case v.Cached && !s.shown:
		p.emit("→ " + v.Name + " (unchanged)")
	case v.Error == "" && v.Started != nil && v.Completed.Sub(*v.Started) >= time.Second:
		p.emit(fmt.Sprintf("  done in %.1fs", v.Completed.Sub(*v.Started).Seconds()))
	}
}

// quietStep tells the daemon's own steps from those that a person wrote.
func quietStep(name string) bool {
	for _, p := range []string{"[internal]", "exporting ", "local://", "resolve image", "docker-image://", "[auth]", "importing ", "sharing credentials", "[base]"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return name == ""
}

// output shows whole lines and keeps the rest for later.
func (p *printer) output(s *step, data []byte) {
	s.partial = append(s.partial, data...)
	for {
		i := bytes.IndexByte(s.partial, '\n')
		if i < 0 && len(s.partial) < maxLine {
			return
		}
		if i < 0 {
			i = len(s.partial) - 1
		}
		p.text(s.partial[:i+1])
		s.partial = s.partial[i+1:]
	}
}

func (p *printer) flush(s *step) {
	if len(s.partial) > 0 {
		p.text(s.partial)
		s.partial = nil
	}
}

// Terminal control sequences (ECMA-48): a log is not a terminal.
var control = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07]*\x07|[@-_])")

// text shows a line of a step's output. Of a line that overwrote itself, as
// progress bars do, the last state is shown.
func (p *printer) text(line []byte) {
	s := strings.TrimRight(strings.ToValidUTF8(string(line), "�"), "\r\n")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' {
			return -1
		}
		return r
	}, control.ReplaceAllString(s, ""))
	if s == "" {
		return
	}
	p.emit("  " + s)
}

// name returns what a step is called.
func (p *printer) name(d digest.Digest) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.steps[d]; ok {
		return s.name
	}
	return ""
}

// exportBegan returns when the daemon began to write the image; zero: it did not.
func (p *printer) exportBegan() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.export
}
