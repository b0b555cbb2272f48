package route

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Config is what the router process is started with.
type Config struct {
	HTTP     string         // address of the plain listener, ":8080"; "": none
	HTTPS    string         // address of the TLS listener; "": none
	Socket   string         // path of the control socket, less than 100 bytes
	StateDir string         // keeps the last table and the last certificates
	Trusted  []netip.Prefix // load balancers whose X-Forwarded-* are believed
	MaxConns int            // client connections; 0: 20 000
	Drain    time.Duration  // given to requests in flight at the end; 30 s
	Sockets  time.Duration  // given to upgraded connections after a successor took over; 1 h
	User     *Identity      // becomes it once the sockets are bound; nil: stays who it is
	Limits   Limits
	Log      *slog.Logger
	Sealer   Sealer // for the keys that the router keeps for its own restart; nil: it keeps none
}

// server is the router with its listeners.
type server struct {
	cfg   Config
	core  *core
	tls   *tls.Config
	plain net.Listener // nil: none
	safe  net.Listener // nil: none
	conns sync.WaitGroup
	taken chan struct{} // closed when a successor has the listeners

	state   *os.Root
	confirm func() error // tells the predecessor that its listeners are served; nil: there is none
}

// Serve runs the router until ctx ends or a successor takes its listeners over;
// then requests in flight end, for at most Drain. It serves the last table of
// StateDir at once. If a router runs on Socket already, Serve is its successor:
// it gets the listening sockets from it, so that no connection is refused.
func Serve(ctx context.Context, cfg Config) error {
	cfg = cfg.orDefaults()
	s := &server{cfg: cfg, core: newCore(cfg), taken: make(chan struct{})}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("make the router's state directory: %w", err)
	}
	state, err := os.OpenRoot(cfg.StateDir) // reached later as another user, who may not pass the directories above
	if err != nil {
		return fmt.Errorf("open the router's state directory: %w", err)
	}
	defer state.Close()
	s.state = state
	key, err := stickyKey(filepath.Join(cfg.StateDir, "sticky.key"))
	if err != nil {
		return err
	}
	s.core.table.Load().key = key // nothing is served yet
	if err := s.core.load(filepath.Join(cfg.StateDir, tableFile)); err != nil {
		cfg.Log.Warn("last table not usable", "error", err)
	}
	if err := s.loadCertificates(); err != nil {
		cfg.Log.Warn("last certificates not usable", "error", err)
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

func (c Config) orDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = 20_000
	}
	if c.Drain == 0 {
		c.Drain = 30 * time.Second
	}
	if c.Sockets == 0 {
		c.Sockets = time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// listen takes the listeners of a running router over, or opens them.
func (s *server) listen(ctx context.Context) error {
	inherited, err := activated(os.Getenv, os.Getpid())
	if err != nil {
		return err
	}
	if inherited == nil {
		if inherited, s.confirm, err = takeOver(s.cfg.Socket); err != nil {
			s.cfg.Log.Info("no router to take over from", "reason", err.Error())
		}
	}
	if s.plain, err = open(ctx, s.cfg.HTTP, inherited["http"]); err != nil {
		return err
	}
	s.safe, err = open(ctx, s.cfg.HTTPS, inherited["https"])
	if err != nil || s.safe == nil {
		return err
	}
	_, s.core.tlsPort, _ = net.SplitHostPort(s.safe.Addr().String())
	s.tls = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { return s.core.shelf.Load().forClient(h) }}
	return nil
}

func open(ctx context.Context, addr string, inherited net.Listener) (net.Listener, error) {
	if inherited != nil || addr == "" {
		return inherited, nil
	}
	// Without keep-alive probes, four system calls a connection: the sweep ends what is idle.
	ln, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for requests: %w", err)
	}
	return ln, nil
}

func (s *server) run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go s.core.sweep(running)
	control, err := s.control(running)
	if err != nil {
		return err
	}
	defer control.Close()
	if err := s.confine(); err != nil {
		return err
	}
	if s.confirm != nil {
		if err := s.confirm(); err != nil {
			s.cfg.Log.Warn("the predecessor was not told", "error", err)
		}
	}
	fail := make(chan error, 2)
	var accepting sync.WaitGroup
	for _, ln := range []net.Listener{s.plain, s.safe} {
		if ln != nil {
			defer ln.Close()
			accepting.Go(func() { fail <- s.accept(ln, ln == s.safe) })
		}
	}
	select {
	case err = <-fail:
	case <-ctx.Done():
	case <-s.taken:
	}
	s.closeListeners()
	accepting.Wait()
	s.drain(ctx)
	return err
}

func (s *server) closeListeners() {
	for _, ln := range []net.Listener{s.plain, s.safe} {
		if ln != nil {
			ln.Close()
		}
	}
}

// drain waits for the requests in flight, and after a take-over for upgraded
// connections too.
func (s *server) drain(ctx context.Context) {
	s.core.drain()
	done := make(chan struct{})
	go func() { s.conns.Wait(); close(done) }()
	end := time.Now().Add(s.cfg.Drain)
	last := end
	select {
	case <-s.taken:
		last = time.Now().Add(s.cfg.Sockets)
	default:
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ended := ctx.Done()
	for {
		select {
		case <-done:
			return
		case <-ended: // told to end: upgraded connections no longer hold it back
			last, ended = end, nil
		case t := <-tick.C:
			only := s.core.count.conns.Load() <= s.core.count.sockets.Load()
			if t.After(last) || t.After(end) && !only || last == end && only {
				return
			}
		}
	}
}

// accept serves a listener until it is closed.
func (s *server) accept(ln net.Listener, secure bool) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			s.cfg.Log.Warn("accept failed", "error", err)
			time.Sleep(20 * time.Millisecond) // out of descriptors: let some end
			continue
		}
		if s.core.count.conns.Add(1) > s.core.maxConns && s.cfg.MaxConns > 0 {
			s.core.count.conns.Add(-1)
			s.core.count.refused.Add(1)
			nc.Close()
			continue
		}
		s.conns.Add(1)
		go s.serve(nc, secure)
	}
}

func (s *server) serve(nc net.Conn, secure bool) {
	defer s.conns.Done()
	defer s.core.count.conns.Add(-1)
	if !secure {
		c := s.core.newConn(nc, nc, false)
		defer s.core.track(c)()
		c.h2 = s.serveH2
		c.serve()
		return
	}
	t := tls.Server(nc, s.tls)
	ctx, cancel := context.WithTimeout(context.Background(), s.core.limits.Head)
	err := t.HandshakeContext(ctx)
	cancel()
	if err != nil {
		nc.Close()
		return
	}
	switch t.ConnectionState().NegotiatedProtocol {
	case "h2":
		s.serveH2(t, nc, nil)
		return
	case alpnChallenge: // the authority has seen what it wanted
		t.Close()
		return
	}
	c := s.core.newConn(t, nc, true)
	defer s.core.track(c)()
	c.serve()
}

// withPrefix reads what has been read already before the rest.
func withPrefix(nc net.Conn, first []byte) io.Reader {
	if len(first) == 0 {
		return nc
	}
	return io.MultiReader(bytes.NewReader(bytes.Clone(first)), nc)
}
