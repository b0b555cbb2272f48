package heroku

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
)

// The rendezvous: the caller connects, sends the secret of its attach_url, is
// answered "rendezvous", and has the dyno's streams from then on, with no
// framing. Here it comes as an HTTP upgrade to this protocol; the endpoint on
// the caller's machine makes it of the connection that the CLI opens.
const rendezvousProtocol = "heroku-rendezvous"

const (
	greeting    = "rendezvous\r\n"
	greetPause  = 50 * time.Millisecond // the CLI throws away the first chunk, whatever is in it
	attachLife  = 2 * time.Minute
	endOfStream = 0x04 // what the CLI sends at the end of an input that is no terminal
)

// session is what is run: a task, or a command inside of an instance.
type session struct {
	app      string
	task     string
	instance string
	command  stead.Command
	env      stead.Config
	terminal terminal
}

// terminal is the caller's, if it has one; its size stays as it was.
type terminal struct {
	on         bool
	cols, rows uint16
}

// meet returns the URL where the caller meets what it runs.
func (c *call) meet(s session) (string, error) {
	secret, err := c.tickets.issue(c.actor, s, attachLife, true)
	if c.rendezvous != "" {
		return "rendezvous://" + c.rendezvous + "/" + secret, err
	}
	return c.base + "/rendezvous/" + secret, err
}

// join answers the upgrade.
func (s *server) join(w http.ResponseWriter, r *http.Request, secret string) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), rendezvousProtocol) {
		s.refuse(w, r, stead.Invalid("Upgrade", "this URL is for upgrades to "+rendezvousProtocol, "use stead heroku run"))
		return
	}
	actor, sess, ok := use[session](s.tickets, secret)
	if !ok {
		s.refuse(w, r, stead.NotFound("session", "of this URL"))
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer conn.Close() // also when it is not joined
	_ = conn.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(stead.WithActor(context.WithoutCancel(r.Context()), actor))
	defer cancel()
	stop := context.AfterFunc(r.Context(), cancel)
	defer stop()
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+rendezvousProtocol+"\r\n\r\n"+greeting)
	if err != nil {
		return
	}
	out := &late{w: conn, from: time.Now().Add(greetPause)}
	in, wait := pump(rw.Reader, !sess.terminal.on, cancel)
	defer wait()
	defer conn.Close()
	if _, err := s.attach(ctx, sess, in, out); err != nil && ctx.Err() == nil {
		_, _ = io.WriteString(out, s.explain(ctx, err)) // the caller may be gone
	}
}

func (s *server) attach(ctx context.Context, sess session, in io.Reader, out io.Writer) (int, error) {
	streams := engine.Streams{Stdin: in, Stdout: out, Stderr: out}
	if t := sess.terminal; t.on {
		size := make(chan engine.Window, 1)
		size <- engine.Window{Cols: t.cols, Rows: t.rows}
		streams.Resize = size
	}
	if sess.task != "" {
		return s.p.AttachTask(ctx, sess.app, sess.task, streams)
	}
	return s.p.Exec(ctx, sess.app, sess.instance, engine.Command{Args: sess.command, Env: sess.env, TTY: sess.terminal.on}, streams)
}

// late holds back the first output, so that it does not come with the greeting.
type late struct {
	w    io.Writer
	from time.Time
}

func (l *late) Write(b []byte) (int, error) {
	if d := time.Until(l.from); d > 0 {
		time.Sleep(d)
	}
	return l.w.Write(b)
}

// pump carries what the caller types to a reader. Without a terminal, which
// would do it, the sign for the end of the input is taken as that. gone is
// called when the connection ends; wait returns after that.
func pump(conn io.Reader, raw bool, gone func()) (in io.Reader, wait func()) {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() { // joined by wait
		defer close(ended)
		defer w.Close()
		defer gone()
		b := make([]byte, 32<<10)
		for {
			n, err := conn.Read(b)
			if raw && n > 0 && b[n-1] == endOfStream {
				_, _ = w.Write(b[:n-1])
				_ = w.Close()
			} else if n > 0 {
				_, _ = w.Write(b[:n]) // nobody reads any more: go on until the caller leaves
			}
			if err != nil {
				return
			}
		}
	}()
	return r, func() { _ = r.Close(); <-ended }
}
