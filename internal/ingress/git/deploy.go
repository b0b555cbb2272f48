package git

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
)

// Run answers the hooks on the unix socket until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if err := os.Remove(s.c.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", s.c.Socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(s.c.Socket, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
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
		wg.Go(func() { s.answer(ctx, conn) })
	}
}

// push is one conversation with a hook.
type push struct {
	s    *Service
	app  stead.App
	ref  string
	send func(reply)
	skip resume // what the pusher has seen before
}

// answer serves one hook. The push's context ends when the hook goes away.
func (s *Service) answer(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var req request
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewDecoder(io.LimitReader(conn, 2*maxRequest)).Decode(&req); err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	go func() { // ends with conn
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	enc := json.NewEncoder(conn)
	p := &push{s: s, send: func(m reply) {
		if enc.Encode(m) != nil {
			cancel()
		}
	}}
	err := p.run(ctx, req)
	if ctx.Err() != nil {
		return // no word is said: the hook comes back
	}
	if err != nil {
		p.sayError(err)
	}
	p.send(reply{Done: true, Refused: err != nil})
}

func (p *push) say(text string) { p.send(reply{Text: text}) }

// errTold refuses a push whose pusher has been told why.
var errTold = errors.New("told")

func (p *push) sayError(err error) {
	if errors.Is(err, errTold) {
		return
	}
	e, ok := errors.AsType[*stead.Error](err)
	if !ok {
		p.s.log.Error("push failed", "app", p.app.Name, "err", err)
		e = &stead.Error{Msg: "the platform failed to take the push", Hint: "push again; if it stays, tell the operator"}
	}
	p.say("")
	for line := range strings.SplitSeq(e.Msg, "\n") {
		p.say(" !     " + line)
	}
	if e.Hint != "" {
		p.say(" !     " + e.Hint)
	}
	p.say("")
}

func (p *push) run(ctx context.Context, req request) error {
	if r := req.Resume; r != nil { // the socket is the daemon's own: its peer is believed
		p.ref, p.skip = string(r.App), *r
		ctx = stead.WithActor(ctx, stead.System)
		app, err := p.s.p.App(ctx, p.ref)
		if err != nil {
			return err
		}
		p.app = app
		return p.follow(ctx, r.Build)
	}
	o, ok := p.s.session(req.Key)
	if !ok {
		return stead.Unavailable("the platform was restarted before it took this push", "push again", nil)
	}
	p.app, p.ref = o.app, string(o.app.ID)
	ctx = stead.WithActor(ctx, o.actor)
	if o.build > 0 {
		return p.begin(ctx, o.build)
	}
	u, err := p.choose(req.Updates)
	if err != nil || u == nil {
		return err
	}
	release, err := p.s.busy.take(ctx, p.app.ID, func() { p.say("-----> Waiting for another push of " + p.app.Name + " to finish") })
	if err != nil {
		return err
	}
	defer release()
	return p.deploy(ctx, *u, req)
}

const branches = "refs/heads/"

func deploys(ref string) bool { return ref == branches+"main" || ref == branches+"master" }

func isZero(object string) bool { return strings.Trim(object, "0") == "" }

// choose returns the update to deploy; nil if none of them is for it.
func (p *push) choose(all []update) (*update, error) {
	var found *update
	for i, u := range all {
		switch {
		case !deploys(u.Ref):
			continue
		case isZero(u.New):
			return nil, stead.Precondition("the deploy branch cannot be deleted", "destroy the app with `stead destroy` if that is meant")
		case found != nil && found.New != u.New:
			return nil, stead.Conflict("main and master were pushed at once, with different commits", "push one of them")
		}
		found = &all[i]
	}
	if found == nil {
		p.say("-----> Stored. Only main and master are deployed; to deploy this: git push stead HEAD:main")
	}
	return found, nil
}

var objectName = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

func (p *push) deploy(ctx context.Context, u update, req request) error {
	if !objectName.MatchString(u.New) {
		return stead.Invalid("ref", "the pushed object's name is malformed", "push a commit")
	}
	g, err := p.objects(req)
	if err != nil {
		return err
	}
	if kind, err := g.output(ctx, "cat-file", "-t", u.New); err != nil || kind != "commit" {
		return stead.Invalid("ref", "what was pushed to "+strings.TrimPrefix(u.Ref, branches)+" is not a commit", "push a branch")
	}
	p.noteSubmodules(ctx, g, u.New)
	src, err := p.upload(ctx, g, u.New)
	if err != nil {
		return err
	}
	subject, err := g.output(ctx, "log", "-1", "--format=%s", "--end-of-options", u.New)
	if err != nil {
		return err
	}
	src.Commit, src.Branch, src.Message = u.New, strings.TrimPrefix(u.Ref, branches), firstLine(subject)
	b, err := p.s.p.Push(ctx, p.ref, src)
	if err != nil {
		return err
	}
	p.s.became(req.Key, b.Number)
	return p.begin(ctx, b.Number)
}

// begin follows a build from its first line.
func (p *push) begin(ctx context.Context, build int) error {
	p.send(reply{Resume: &resume{App: p.app.ID, Build: build}})
	return p.follow(ctx, build)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// objects returns the git commands that see the pushed objects, which are in
// quarantine until the hook agrees.
func (p *push) objects(req request) (reader, error) {
	repo := p.s.repository(p.app.ID)
	env := []string{}
	inside := func(path string) bool {
		rel, err := filepath.Rel(repo, path)
		return err == nil && filepath.IsLocal(rel)
	}
	if req.Objects != "" {
		if !filepath.IsAbs(req.Objects) {
			req.Objects = filepath.Join(repo, req.Objects)
		}
		if !inside(req.Objects) {
			return reader{}, errors.New("quarantine outside of the repository")
		}
		env = append(env, "GIT_OBJECT_DIRECTORY="+req.Objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+filepath.Join(repo, "objects"))
	}
	return reader{p.s, repo, env}, nil
}

// reader runs git commands that read objects.
type reader struct {
	s    *Service
	repo string
	env  []string
}

func (g reader) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := g.s.command(ctx, append([]string{"--git-dir=" + g.repo, "-c", "safe.directory=*", "-c", "core.attributesFile=/dev/null",
		"-c", "tar.tar.gz.command=git archive gzip"}, args...)...)
	cmd.Env = append(cmd.Env, g.env...)
	return cmd
}

func (g reader) output(ctx context.Context, args ...string) (string, error) {
	out, err := g.command(ctx, args...).Output()
	return strings.TrimSpace(string(out)), err
}

func (p *push) noteSubmodules(ctx context.Context, g reader, commit string) {
	cmd := g.command(ctx, "ls-tree", "-r", "-z", "--full-tree", commit)
	pipe, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	defer func() { _ = cmd.Wait() }()
	sc := bufio.NewScanner(pipe)
	sc.Split(splitZero)
	for n := 0; sc.Scan(); {
		if rest, ok := strings.CutPrefix(sc.Text(), "160000 "); ok && n < 10 {
			_, path, _ := strings.Cut(rest, "\t")
			p.say(" !     Submodule " + strings.ToValidUTF8(path, "?") + " is left out: submodules are not supported; vendor it instead")
			n++
		}
	}
}

func splitZero(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// upload stores the commit's tree as a source.
func (p *push) upload(ctx context.Context, g reader, commit string) (stead.Source, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // an upload that was refused reads no more
	cmd := g.command(ctx, "archive", "--format=tar.gz", "-1", commit)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return stead.Source{}, err
	}
	if err := cmd.Start(); err != nil {
		return stead.Source{}, err
	}
	src, err := p.s.p.UploadSource(ctx, p.ref, pipe)
	if err != nil {
		cancel()
		_ = cmd.Wait()
		return stead.Source{}, err
	}
	if err := cmd.Wait(); err != nil {
		return stead.Source{}, errors.Join(errors.New("git archive: "+stderr.String()), err)
	}
	return src, nil
}

// follow passes on what the build and its release say, and returns nil when
// the release serves.
func (p *push) follow(ctx context.Context, number int) error {
	b, err := p.buildDone(ctx, number)
	if err != nil {
		return err
	}
	if b.State != stead.BuildSucceeded {
		return p.refused("the build failed")
	}
	p.say("-----> Releasing v" + strconv.Itoa(b.Release))
	r, err := p.releaseDone(ctx, b.Release)
	switch {
	case err != nil:
		return err
	case r.State == stead.ReleaseFailed:
		return p.refused("v" + strconv.Itoa(r.Version) + " did not come up")
	case r.State == stead.ReleaseSuperseded && r.LiveAt == nil:
		return p.refused("v" + strconv.Itoa(r.Version) + " was superseded by a newer release")
	}
	p.say("-----> Deployed " + p.app.Name + " v" + strconv.Itoa(r.Version))
	p.say("       " + p.app.URL)
	p.say("")
	return nil
}

func (p *push) refused(why string) error {
	p.say("")
	p.say(" !     Push refused: " + why + ".")
	p.say("")
	return errTold
}

// lookAgain is how soon a stream that ended before its build did is read on.
const lookAgain = 500 * time.Millisecond

func (p *push) buildDone(ctx context.Context, number int) (stead.Build, error) {
	seen := 0
	for {
		lines, err := p.s.p.BuildOutput(ctx, p.ref, number, true)
		if err != nil {
			return stead.Build{}, err
		}
		if err := p.pass(lines, "build", "", &seen, p.skip.Lines); err != nil {
			return stead.Build{}, err
		}
		b, err := p.s.p.Build(ctx, p.ref, number)
		if err != nil || b.State.Done() {
			return b, err
		}
		if p.skip.Lines = max(p.skip.Lines, seen); !wait(ctx, lookAgain) {
			return b, ctx.Err()
		}
		seen = 0
	}
}

func (p *push) releaseDone(ctx context.Context, version int) (stead.Release, error) {
	seen := 0
	for {
		lines, err := p.s.p.ReleaseOutput(ctx, p.ref, version, true)
		if err != nil {
			return stead.Release{}, err
		}
		if err := p.pass(lines, "release", "       ", &seen, p.skip.Release); err != nil {
			return stead.Release{}, err
		}
		r, err := p.s.p.Release(ctx, p.ref, version)
		if err != nil || r.State.Done() {
			return r, err
		}
		if p.skip.Release = max(p.skip.Release, seen); !wait(ctx, lookAgain) {
			return r, ctx.Err()
		}
		seen = 0
	}
}

// pass sends the lines behind the first skip to the pusher.
func (p *push) pass(lines iter.Seq2[logs.Line, error], of, indent string, seen *int, skip int) error {
	for line, err := range lines {
		if err != nil {
			return err
		}
		if *seen++; *seen > skip {
			p.send(reply{Text: indent + line.Text, Of: of})
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
