package ssh

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/ingress/git"
	"github.com/steadpaas/stead/internal/platform"
)

// session is what a client said before its command.
type session struct {
	tty      bool
	term     string
	protocol string // GIT_PROTOCOL
	resize   chan engine.Window
}

// session serves one session: the client's settings, then one command.
func (s *Server) session(ctx context.Context, ch ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer ch.Close()
	se := &session{resize: make(chan engine.Window, 1)}
	begun := false
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return
			}
			line, start, ok := se.take(r, begun)
			if r.WantReply {
				_ = r.Reply(ok, nil)
			}
			if start {
				begun = true
				wg.Go(func() {
					defer ch.Close()
					exitStatus(ch, s.run(ctx, se, line, ch))
				})
			}
		case <-ctx.Done():
			return
		}
	}
}

func exitStatus(ch ssh.Channel, code int) {
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(code)}))
}

// take handles one request; start tells that line is the command to run.
func (se *session) take(r *ssh.Request, begun bool) (line string, start, ok bool) {
	switch r.Type {
	case "pty-req":
		var m struct {
			Term                   string
			Cols, Rows, Wide, High uint32
			Modes                  string
		}
		if begun || ssh.Unmarshal(r.Payload, &m) != nil {
			return "", false, false
		}
		se.tty = true
		if len(m.Term) <= 64 {
			se.term = m.Term
		}
		se.window(m.Cols, m.Rows)
		return "", false, true
	case "window-change":
		var m struct{ Cols, Rows, Wide, High uint32 }
		if ssh.Unmarshal(r.Payload, &m) != nil {
			return "", false, false
		}
		se.window(m.Cols, m.Rows)
		return "", false, true
	case "env":
		var m struct{ Name, Value string }
		ok := !begun && ssh.Unmarshal(r.Payload, &m) == nil && m.Name == "GIT_PROTOCOL"
		if ok {
			se.protocol = m.Value
		}
		return "", false, ok
	case "exec":
		var m struct{ Line string }
		ok := !begun && ssh.Unmarshal(r.Payload, &m) == nil
		return m.Line, ok, ok
	case "shell":
		return "", !begun, !begun
	}
	return "", false, false
}

// window keeps the newest size only.
func (se *session) window(cols, rows uint32) {
	w := engine.Window{Cols: uint16(min(cols, 10_000)), Rows: uint16(min(rows, 10_000))}
	select {
	case <-se.resize:
	default:
	}
	select {
	case se.resize <- w:
	default:
	}
}

// Exit codes of what the platform refuses, as the CLI's.
const (
	exitFailed = 1
	exitUsage  = 2
)

// run carries out a command line and returns the session's exit status.
func (s *Server) run(ctx context.Context, se *session, line string, ch ssh.Channel) int {
	c, err := parseCommand(line)
	if err != nil {
		s.complain(se, ch, err)
		return exitUsage
	}
	var code int
	switch c.verb {
	case verbGit:
		code, err = s.runGit(ctx, se, c, ch)
	case verbRun:
		code, err = s.runTask(ctx, se, c, ch)
	case verbExec:
		code, err = s.p.Exec(ctx, c.app, c.instance, engine.Command{Args: c.args, Env: se.env(), TTY: se.tty}, se.streams(ch))
	}
	if err != nil {
		s.complain(se, ch, err)
		return max(code, exitFailed)
	}
	return code
}

func (s *Server) complain(se *session, ch ssh.Channel, err error) {
	text := "stead: " + s.errorText(err) + "\n"
	if se.tty {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	_, _ = fmt.Fprint(ch.Stderr(), text)
}

func (s *Server) runGit(ctx context.Context, se *session, c command, ch ssh.Channel) (int, error) {
	app, err := s.git.Open(ctx, c.app, c.git)
	if err != nil {
		return 0, err
	}
	return s.git.Serve(ctx, app, git.Call{Verb: c.git, Protocol: se.protocol, Stdin: ch, Stdout: ch, Stderr: ch.Stderr()})
}

func (s *Server) runTask(ctx context.Context, se *session, c command, ch ssh.Channel) (int, error) {
	t, err := s.p.Run(ctx, c.app, platform.NewTask{Command: stead.Command(c.args), Attached: true, TTY: se.tty, Env: se.env()})
	if err != nil {
		return 0, err
	}
	return s.p.AttachTask(ctx, string(t.AppID), t.Name, se.streams(ch))
}

func (se *session) env() stead.Config {
	if !se.tty || se.term == "" {
		return nil
	}
	return stead.Config{"TERM": se.term}
}

func (se *session) streams(ch ssh.Channel) engine.Streams {
	st := engine.Streams{Stdin: ch, Stdout: ch, Stderr: ch.Stderr()}
	if se.tty {
		st.Stderr, st.Resize = io.Discard, se.resize
	}
	return st
}
