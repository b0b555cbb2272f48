package fake

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// program is a command as the fake understands it. "/bin/sh -c LINE" runs the
// line's words, without quotes, and of expansions only $?; ";" separates programs; a program whose name ends in
// "testapp" is enginetest's, whose first argument is the verb.
type program struct {
	verb string
	args []string
	then *program // what follows a ";"
}

func parse(c stead.Command) program {
	if len(c) == 3 && strings.HasSuffix(c[0], "sh") && c[1] == "-c" {
		c = strings.Fields(strings.NewReplacer(`"`, "", "'", "").Replace(c[2]))
	}
	if i := slices.Index(c, ";"); i > 0 {
		p := parse(c[:i])
		then := parse(c[i+1:])
		p.then = &then
		return p
	}
	if len(c) > 0 && (c[0] == "exec" || strings.HasSuffix(c[0], "testapp")) {
		c = c[1:]
	}
	if len(c) == 0 {
		return program{verb: "web"}
	}
	return program{verb: c[0][strings.LastIndexByte(c[0], '/')+1:], args: c[1:]}
}

// runs reports whether the program is one that ends by itself, and so ends a
// service's instance too.
func (p program) runs() bool {
	return slices.Contains([]string{"echo", "print", "cat", "env", "exit", "true", "false", "hostname"}, p.verb)
}

// run runs the program and what follows it, and returns the exit code.
func (p program) run(ctx context.Context, env stead.Config, s engine.Streams) int {
	code := p.one(ctx, env, s)
	if p.then == nil {
		return code
	}
	next := *p.then
	next.args = slices.Clone(next.args)
	for i, a := range next.args {
		next.args[i] = strings.ReplaceAll(a, "$?", strconv.Itoa(code))
	}
	return next.run(ctx, env, s)
}

func (p program) one(ctx context.Context, env stead.Config, s engine.Streams) int {
	switch p.verb {
	case "echo":
		fmt.Fprintln(s.Stdout, strings.Join(p.args, " "))
	case "print": // print N TEXT: N numbered lines
		for n := range p.number(0, 1) {
			fmt.Fprintf(s.Stdout, "%s %d\n", strings.Join(p.args[min(1, len(p.args)):], " "), n)
		}
	case "complain":
		fmt.Fprintln(s.Stderr, strings.Join(p.args, " "))
	case "cat":
		return cat(ctx, s)
	case "env":
		for _, k := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(s.Stdout, "%s=%s\n", k, env[k])
		}
	case "exit":
		return p.number(0, 0) & 255
	case "false":
		return 1
	case "sleep", "web":
		return sleep(ctx, time.Duration(p.number(0, 3600))*time.Second)
	}
	return 0
}

func (p program) number(at, otherwise int) int {
	if at >= len(p.args) {
		return otherwise
	}
	n, err := strconv.Atoi(p.args[at])
	if err != nil {
		return otherwise
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) int {
	select {
	case <-ctx.Done():
		return 143
	case <-time.After(d):
		return 0
	}
}

// cat copies stdin. A read that does not come back is left behind when ctx
// ends: nothing can end it but its own reader.
func cat(ctx context.Context, s engine.Streams) int {
	if s.Stdin == nil {
		return 0
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(s.Stdout, s.Stdin)
		done <- err
	}()
	select {
	case <-ctx.Done():
		return 143
	case err := <-done:
		if err != nil {
			return 1
		}
		return 0
	}
}

// Exec implements engine.Engine.
func (e *Engine) Exec(ctx context.Context, id string, c engine.Command, s engine.Streams) (int, error) {
	i := e.find(id)
	if i == nil {
		return 0, stead.NotFound("instance", id)
	}
	e.mu.Lock()
	state := i.status.State
	e.mu.Unlock()
	if state != engine.StateUp {
		return 0, stead.Precondition("instance "+i.status.Name+" is "+string(state)+", not up", "wait until it is up, or look at its logs")
	}
	if len(c.Args) == 0 {
		return 0, stead.Invalid("command", "there is no command to run", "name one, as in: stead run env")
	}
	if s.Stdout == nil {
		s.Stdout = io.Discard
	}
	if s.Stderr == nil {
		s.Stderr = io.Discard
	}
	if c.TTY {
		s.Stderr = s.Stdout
	}
	return i.exec(ctx, parse(c.Args), c.Env, s)
}

func (i *instance) exec(ctx context.Context, p program, extra stead.Config, s engine.Streams) (int, error) {
	env := maps.Clone(i.w.Env)
	if env == nil {
		env = stead.Config{}
	}
	maps.Copy(env, extra)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	if !p.runs() && p.verb != "sleep" && p.verb != "complain" {
		fmt.Fprintf(s.Stderr, "%s: command not found\n", p.verb)
		return 127, nil
	}
	code := p.run(ctx, env, s)
	if err := ctx.Err(); err != nil && i.ctx.Err() == nil {
		return code, err
	}
	return code, nil
}
