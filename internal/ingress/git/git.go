// Package git takes pushes: over smart HTTP, and, with package ssh, over SSH.
//
// The objects are stored by the git program in one bare repository an app.
// Before the refs move, git runs the pre-receive hook, which is steadd itself
// (see Hook); it asks the daemon over a unix socket to deploy, passes on what
// the platform says, and refuses the refs when the release did not come up.
package git

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

// Platform is what pushes use of the hall.
type Platform interface {
	Authenticate(ctx context.Context, secret string) (stead.Actor, error)
	App(ctx context.Context, ref string) (stead.App, error)
	UploadSource(ctx context.Context, ref string, r io.Reader) (stead.Source, error)
	Push(ctx context.Context, ref string, src stead.Source) (stead.Build, error)
	Build(ctx context.Context, ref string, number int) (stead.Build, error)
	Release(ctx context.Context, ref string, version int) (stead.Release, error)
	BuildOutput(ctx context.Context, ref string, number int, follow bool) (iter.Seq2[logs.Line, error], error)
	ReleaseOutput(ctx context.Context, ref string, version int, follow bool) (iter.Seq2[logs.Line, error], error)
	AuthorizeRepository(ctx context.Context, repository string, push bool) (stead.App, error)
}

// Config is what a Service is made of.
type Config struct {
	Dir      string   // holds <app id>.git and the hooks
	Socket   string   // unix socket the hook talks to; shorter than 100 bytes
	Hook     []string // argv of the hook: ["/usr/bin/steadd", "git-hook"]
	MaxInput int64    // bytes of one push; 1 GiB by default
	Pushes   int      // git processes at once; 32 by default
	Logger   *slog.Logger
}

// Service stores pushes and deploys them.
type Service struct {
	p     Platform
	c     Config
	log   *slog.Logger
	slots chan struct{}
	busy  turns
	mu    sync.Mutex
	open  map[string]session // by key, while git receive-pack runs
}

// session is one receive-pack: who pushes to what.
type session struct {
	actor stead.Actor
	app   stead.App
	build int // that it became; 0: none yet
}

// New returns a service over p. Its directories are made at need.
func New(p Platform, c Config) (*Service, error) {
	if c.MaxInput == 0 {
		c.MaxInput = 1 << 30
	}
	if c.Pushes == 0 {
		c.Pushes = 32
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{p: p, c: c, log: c.Logger, slots: make(chan struct{}, c.Pushes), busy: newTurns(), open: map[string]session{}}
	if err := s.writeHooks(); err != nil {
		return nil, err
	}
	return s, nil
}

// writeHooks writes the shim that git runs as its pre-receive hook: an exec of
// steadd. Its arguments are quoted, and hold nothing that a user chose.
func (s *Service) writeHooks() error {
	dir := filepath.Join(s.c.Dir, "hooks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\nexec")
	for _, a := range s.c.Hook {
		b.WriteString(" '" + strings.ReplaceAll(a, "'", `'\''`) + "'")
	}
	b.WriteString("\n")
	tmp := filepath.Join(dir, ".pre-receive")
	if err := os.WriteFile(tmp, []byte(b.String()), 0o700); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "pre-receive"))
}

// Verb is what a client asks of a repository.
type Verb string

// The verbs, as git names them.
const (
	UploadPack  Verb = "upload-pack"  // fetch, clone
	ReceivePack Verb = "receive-pack" // push
)

// ParseVerb reads "git-receive-pack" or "git-upload-pack".
func ParseVerb(s string) (Verb, bool) {
	switch v := Verb(strings.TrimPrefix(s, "git-")); v {
	case UploadPack, ReceivePack:
		return v, strings.HasPrefix(s, "git-")
	}
	return "", false
}

// Open returns the app of a reference if the context's actor may do the verb
// on it. The repository is made if there is none.
func (s *Service) Open(ctx context.Context, ref string, v Verb) (stead.App, error) {
	ref = strings.TrimSuffix(strings.Trim(ref, "/"), ".git")
	app, err := s.p.App(ctx, ref)
	if err != nil {
		return stead.App{}, err
	}
	if !stead.IsID(string(app.ID)) {
		return stead.App{}, errors.New("app without an id")
	}
	if _, err := s.p.AuthorizeRepository(ctx, "apps/"+string(app.ID), v == ReceivePack); err != nil {
		return stead.App{}, err
	}
	return app, s.ensure(ctx, app.ID)
}

func (s *Service) repository(id stead.ID) string { return filepath.Join(s.c.Dir, string(id)+".git") }

// ensure makes the app's repository, complete or not at all.
func (s *Service) ensure(ctx context.Context, id stead.ID) error {
	dir := s.repository(id)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(s.c.Dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := s.command(ctx, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", tmp)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(errors.New("git init: "+strings.TrimSpace(string(out))), err)
	}
	if err := os.Rename(tmp, dir); err != nil && !isDir(dir) {
		return err
	}
	return nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// Remove deletes the repository of a destroyed app.
func (s *Service) Remove(id stead.ID) error {
	if !stead.IsID(string(id)) {
		return errors.New("not an id")
	}
	return os.RemoveAll(s.repository(id))
}

// command returns a git command with a clean environment: nothing of the
// daemon's, of the machine's or of a user's configuration.
func (s *Service) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = s.c.Dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.c.Dir, "LC_ALL=C.UTF-8",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Call is one run of a git service.
type Call struct {
	Verb      Verb
	Stateless bool   // one request of smart HTTP
	Advertise bool   // only tell the refs
	Protocol  string // Git-Protocol or GIT_PROTOCOL of the client
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
}

// Serve runs the git program for the context's actor on the app's repository.
// The error tells of a failure of the platform, not of git, which has told the
// client itself.
func (s *Service) Serve(ctx context.Context, app stead.App, c Call) (exit int, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	cmd := s.command(ctx, s.arguments(app, c)...)
	if validProtocol(c.Protocol) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+c.Protocol)
	}
	if c.Verb == ReceivePack && !c.Advertise {
		key := s.begin(stead.ActorFrom(ctx), app)
		defer s.end(key)
		cmd.Env = append(cmd.Env, hookSocket+"="+s.c.Socket, hookKey+"="+key)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // git ended before its input did
		err = nil
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode(), nil
	}
	return 0, err
}

func (s *Service) arguments(app stead.App, c Call) []string {
	args := []string{}
	for _, kv := range s.settings() {
		args = append(args, "-c", kv)
	}
	args = append(args, string(c.Verb))
	if c.Stateless {
		args = append(args, "--stateless-rpc")
	}
	if c.Advertise {
		args = append(args, "--advertise-refs")
	}
	if c.Verb == UploadPack {
		args = append(args, "--strict", "--timeout=60")
	}
	return append(args, "--", s.repository(app.ID))
}
