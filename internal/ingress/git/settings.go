package git

import (
	"context"
	"crypto/rand"
	"regexp"
	"strconv"
	"sync"

	"github.com/steadpaas/stead"
)

// settings are the git options of every service run, on top of no other
// configuration than the repository's own.
func (s *Service) settings() []string {
	return []string{
		"core.hooksPath=" + s.c.Dir + "/hooks",
		"receive.maxInputSize=" + strconv.FormatInt(s.c.MaxInput, 10),
		"receive.fsckObjects=true",
		// harmless things that old, widely used repositories contain
		"receive.fsck.zeroPaddedFilemode=ignore", "receive.fsck.missingSpaceBeforeDate=ignore", "receive.fsck.badTimezone=ignore",
		"receive.denyNonFastForwards=false", "receive.denyCurrentBranch=ignore", "receive.denyDeletes=false",
		"receive.autogc=false", "receive.advertisePushOptions=false", "receive.unpackLimit=1000",
		"transfer.hideRefs=refs/stead", "uploadpack.allowFilter=true", "core.logAllRefUpdates=false",
		"safe.directory=*", "gc.auto=0", "protocol.version=2",
	}
}

var protocolGrammar = regexp.MustCompile(`^[a-z0-9=:.-]{1,100}$`)

func validProtocol(p string) bool { return protocolGrammar.MatchString(p) }

// begin opens a session for one receive-pack and returns the key by which its
// hook is known.
func (s *Service) begin(actor stead.Actor, app stead.App) string {
	key := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[key] = session{actor: actor, app: app}
	return key
}

func (s *Service) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, key)
}

// became records the build of a push, so that a hook that asks again, because
// it was not told, follows the same one.
func (s *Service) became(key string, build int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[key]; ok {
		o.build = build
		s.open[key] = o
	}
}

func (s *Service) session(key string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.open[key]
	return o, ok
}

// turns lets one push of an app deploy at a time.
type turns struct {
	mu    *sync.Mutex
	taken map[stead.ID]*turn
}

type turn struct {
	slot  chan struct{}
	users int
}

func newTurns() turns { return turns{mu: &sync.Mutex{}, taken: map[stead.ID]*turn{}} }

// take waits for the app's turn; waiting is called when it is not free at once.
func (t turns) take(ctx context.Context, app stead.ID, waiting func()) (release func(), err error) {
	t.mu.Lock()
	u := t.taken[app]
	if u == nil {
		u = &turn{slot: make(chan struct{}, 1)}
		t.taken[app] = u
	}
	u.users++
	t.mu.Unlock()
	select {
	case u.slot <- struct{}{}:
		return func() { <-u.slot; t.leave(app, u) }, nil
	default:
	}
	waiting()
	select {
	case u.slot <- struct{}{}:
		return func() { <-u.slot; t.leave(app, u) }, nil
	case <-ctx.Done():
		t.leave(app, u)
		return nil, ctx.Err()
	}
}

func (t turns) leave(app stead.ID, u *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.users--; u.users == 0 {
		delete(t.taken, app)
	}
}
