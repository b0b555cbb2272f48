package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// BuildPassword returns a password for UserBuild that reads and writes one
// repository and reads the base images ("stacks/…") until the given time. A
// build's steps may come to see it, so it opens nothing else.
func (r *Registry) BuildPassword(repository string, until time.Time) string {
	at := strconv.FormatInt(until.Unix(), 36)
	return at + "." + repository + "." + r.sign(at, repository)
}

func (r *Registry) sign(at, repository string) string {
	h := hmac.New(sha256.New, []byte(r.cfg.Secret))
	h.Write([]byte("build password\x00" + at + "\x00" + repository))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// buildRepository returns the repository that a build's password opens.
func (r *Registry) buildRepository(password string) (string, bool) {
	at, rest, _ := strings.Cut(password, ".")
	repository, sum, _ := strings.Cut(rest, ".")
	if subtle.ConstantTimeCompare([]byte(sum), []byte(r.sign(at, repository))) != 1 {
		return "", false
	}
	unix, err := strconv.ParseInt(at, 36, 64)
	return repository, err == nil && time.Now().Unix() < unix
}

var (
	errWho = &stead.Error{Kind: stead.KindUnauthenticated, Msg: "the registry wants a user and a password",
		Hint: "log in with \"docker login\", your email and a token as the password"}
	errNo = &stead.Error{Kind: stead.KindForbidden, Msg: "that is not allowed here"}
)

// authorize decides about a request.
func (r *Registry) authorize(req *http.Request, t target) (access, error) {
	user, password, ok := req.BasicAuth()
	if !ok {
		return access{}, errWho
	}
	write := req.Method != http.MethodGet && req.Method != http.MethodHead
	switch user {
	case UserPlatform:
		if subtle.ConstantTimeCompare([]byte(password), []byte(r.cfg.Secret)) != 1 {
			return access{}, errWho
		}
		return access{ctx: req.Context()}, nil
	case UserBuild:
		return access{ctx: req.Context()}, r.authorizeBuild(req, t, password, write)
	}
	return r.authorizePerson(req, t, user, password, write)
}

func (r *Registry) authorizeBuild(req *http.Request, t target, password string, write bool) error {
	own, ok := r.buildRepository(password)
	switch {
	case !ok:
		return errWho
	case t.repository == "" && t.kind == "":
		return nil
	case t.kind == "_catalog" || req.Method == http.MethodDelete:
		return errNo
	case t.repository == own:
		return r.checkMount(req, own)
	case strings.HasPrefix(t.repository, "stacks/") && !write:
		return nil
	}
	return stead.NotFound("repository", t.repository)
}

// checkMount lets a build mount blobs from its own repository and the base images only.
func (r *Registry) checkMount(req *http.Request, own string) error {
	from := req.URL.Query().Get("from")
	mount := req.URL.Query().Get("mount")
	if mount == "" || from == own || strings.HasPrefix(from, "stacks/") {
		return nil
	}
	q := req.URL.Query()
	q.Del("mount")
	q.Del("from")
	req.URL.RawQuery = q.Encode()
	return nil
}

func (r *Registry) authorizePerson(req *http.Request, t target, user, password string, write bool) (access, error) {
	switch {
	case r.cfg.Authorize == nil:
		return access{}, errWho
	case t.kind == "_catalog" || (req.Method == http.MethodDelete && !strings.HasPrefix(t.rest, "uploads/")):
		return access{}, errNo
	}
	ctx, app, err := r.cfg.Authorize(req.Context(), user, password, t.repository, write)
	if err != nil {
		return access{}, err
	}
	if t.repository != "" && !stead.IsID(string(app.ID)) {
		return access{}, stead.NotFound("repository", t.repository)
	}
	return access{ctx: ctx, app: app, person: true}, nil
}
