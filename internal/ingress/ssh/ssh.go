// Package ssh serves pushes, one-off commands and sessions in running
// instances over SSH. People authenticate by the public keys they registered;
// there is no shell of the host behind any of it.
package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/ingress/git"
	"github.com/steadpaas/stead/internal/platform"
)

// Platform is what sessions use of the hall.
type Platform interface {
	AuthenticateKey(ctx context.Context, fingerprint string) (stead.Actor, error)
	Run(ctx context.Context, ref string, n platform.NewTask) (stead.Task, error)
	AttachTask(ctx context.Context, ref, name string, s engine.Streams) (int, error)
	Exec(ctx context.Context, ref, instance string, c engine.Command, s engine.Streams) (int, error)
}

// Config is what a Server is made of.
type Config struct {
	HostKey     string        // file of the ed25519 host key; made, with mode 0600, if there is none
	Connections int           // at once; 256 by default
	Sessions    int           // at once in one connection; 8 by default
	Handshake   time.Duration // limit; 20 s by default
	Idle        time.Duration // a connection without a session is closed after this; 60 s by default
	Logger      *slog.Logger
}

// Server serves SSH connections.
type Server struct {
	p     Platform
	git   *git.Service
	c     Config
	log   *slog.Logger
	conf  *ssh.ServerConfig
	slots chan struct{}
}

// New returns a server; it reads or makes the host key.
func New(p Platform, g *git.Service, c Config) (*Server, error) {
	if c.Connections == 0 {
		c.Connections = 256
	}
	if c.Sessions == 0 {
		c.Sessions = 8
	}
	if c.Handshake == 0 {
		c.Handshake = 20 * time.Second
	}
	if c.Idle == 0 {
		c.Idle = 60 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	key, err := hostKey(c.HostKey)
	if err != nil {
		return nil, err
	}
	s := &Server{p: p, git: g, c: c, log: c.Logger, slots: make(chan struct{}, c.Connections)}
	s.conf = &ssh.ServerConfig{PublicKeyCallback: s.publicKey, MaxAuthTries: 8, ServerVersion: "SSH-2.0-Stead"}
	s.conf.AddHostKey(key)
	return s, nil
}

// hostKey reads the key at path, or makes one.
func hostKey(path string) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		data, err = makeHostKey(path)
	}
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(data)
}

func makeHostKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "stead host key")
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(block)
	f, err := os.CreateTemp(filepath.Dir(path), ".hostkey-") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return data, os.Rename(f.Name(), path)
}

const actorExtension = "stead-actor"

// publicKey accepts a key that a user registered. x/crypto/ssh verifies the
// signature before the connection is used.
func (s *Server) publicKey(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.Handshake)
	defer cancel()
	actor, err := s.p.AuthenticateKey(ctx, ssh.FingerprintSHA256(key))
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(actor)
	if err != nil {
		return nil, err
	}
	return &ssh.Permissions{Extensions: map[string]string{actorExtension: string(b)}}, nil
}

// Serve accepts connections until ctx ends; then those open are closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case s.slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-s.slots }()
				s.connection(ctx, conn)
			})
		default:
			s.log.Warn("ssh connection refused", "reason", "too many")
			_ = conn.Close()
		}
	}
}

func (s *Server) connection(ctx context.Context, raw net.Conn) {
	defer raw.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	_ = raw.SetDeadline(time.Now().Add(s.c.Handshake))
	conn, channels, requests, err := ssh.NewServerConn(raw, s.conf)
	if err != nil {
		return // a stranger
	}
	_ = raw.SetDeadline(time.Time{})
	var actor stead.Actor
	if err := json.Unmarshal([]byte(conn.Permissions.Extensions[actorExtension]), &actor); err != nil {
		return
	}
	go ssh.DiscardRequests(requests) // ends with the connection
	s.channels(stead.WithActor(ctx, actor), conn, channels)
}

// channels serves the sessions of a connection, side by side.
func (s *Server) channels(ctx context.Context, conn *ssh.ServerConn, channels <-chan ssh.NewChannel) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // the connection is gone: so are its sessions
	slots := make(chan struct{}, s.c.Sessions)
	idle := time.AfterFunc(s.c.Idle, func() {
		if len(slots) == 0 {
			_ = conn.Close()
		}
	})
	defer idle.Stop()
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only sessions are served; forwarding is not")
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = ch.Reject(ssh.ResourceShortage, "too many sessions in this connection")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			<-slots
			continue
		}
		wg.Go(func() {
			s.session(ctx, channel, requests)
			<-slots
			idle.Reset(s.c.Idle)
		})
	}
}

// errorText is what a person is told of an error.
func (s *Server) errorText(err error) string {
	e, ok := errors.AsType[*stead.Error](err)
	if !ok {
		s.log.Error("ssh session failed", "err", err)
		return "the platform failed; try again, and tell the operator if it stays"
	}
	return strings.TrimSpace(e.Msg + "\n" + e.Hint)
}
