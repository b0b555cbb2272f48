package registry

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/steadpaas/stead"
)

const secret = "the platform's own secret"

var (
	hello = stead.App{ID: "0190a000-0000-7000-8000-000000000001", Name: "hello"}
	other = stead.App{ID: "0190a000-0000-7000-8000-000000000002", Name: "other"}
)

// house is a registry in which ann may push to hello and nothing else.
type house struct {
	*Registry
	host   string
	pushed []string
	refuse error
}

func open(t *testing.T, grace time.Duration) *house {
	t.Helper()
	h := &house{}
	r, err := Open(context.Background(), Config{Dir: t.TempDir(), Secret: secret, Grace: grace,
		Authorize: func(ctx context.Context, user, password, repository string, _ bool) (context.Context, stead.App, error) {
			switch {
			case user != "ann" || password != "pw":
				return ctx, stead.App{}, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "who are you"}
			case repository == "" || repository == "hello" || repository == "apps/"+string(hello.ID):
				return ctx, hello, nil
			}
			return ctx, stead.App{}, stead.NotFound("app", repository)
		},
		OnPush: func(_ context.Context, app stead.App, ref string) error {
			h.pushed = append(h.pushed, ref)
			return h.refuse
		}}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	s := httptest.NewServer(r.Handler())
	t.Cleanup(s.Close)
	h.Registry, h.host = r, strings.TrimPrefix(s.URL, "http://")
	return h
}

func (h *house) ref(t *testing.T, s string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(h.host+"/"+s, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func as(user, password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: user, Password: password})
}

func picture(t *testing.T) (v1.Image, string) {
	t.Helper()
	img, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return img, d.String()
}

func TestPersonPushesToTheAppsRepository(t *testing.T) {
	h := open(t, 0)
	img, digest := picture(t)
	if err := remote.Write(h.ref(t, "hello:v1"), img, as("ann", "pw")); err != nil {
		t.Fatal(err)
	}
	want := "apps/" + string(hello.ID) + "@" + digest
	if len(h.pushed) != 1 || h.pushed[0] != want {
		t.Errorf("pushed %v, want %s", h.pushed, want)
	}
	for _, ref := range []string{"hello:v1", "apps/" + string(hello.ID) + "@" + digest} {
		if _, err := remote.Get(h.ref(t, ref), as("ann", "pw")); err != nil {
			t.Errorf("pull %s: %v", ref, err)
		}
	}
	h.refuse = stead.Precondition("a build is running", "wait for it")
	if err := remote.Write(h.ref(t, "hello:v2"), img, as("ann", "pw")); err == nil || !strings.Contains(err.Error(), "a build is running") {
		t.Errorf("a push that is refused: %v", err)
	}
}

func TestAccess(t *testing.T) {
	h := open(t, 0)
	img, digest := picture(t)
	mine, theirs := "apps/"+string(hello.ID), "apps/"+string(other.ID)
	for _, repository := range []string{mine, theirs, "stacks/base"} {
		if err := remote.Write(h.ref(t, repository+":x"), img, as(UserPlatform, secret)); err != nil {
			t.Fatal(err)
		}
	}
	build := h.BuildPassword(mine, time.Now().Add(time.Hour))
	for _, c := range []struct {
		user, password, repository string
		pull, push                 bool
	}{
		{UserPlatform, "wrong", mine, false, false},
		{UserPlatform, secret, theirs, true, true},
		{UserBuild, build, mine, true, true},
		{UserBuild, build, theirs, false, false},
		{UserBuild, build, "stacks/base", true, false},
		{UserBuild, h.BuildPassword(mine, time.Now().Add(-time.Second)), mine, false, false},
		{UserBuild, build[:len(build)-1], mine, false, false},
		{UserBuild, strings.Replace(build, string(hello.ID), string(other.ID), 1), theirs, false, false},
		{"ann", "pw", mine, true, true},
		{"ann", "pw", theirs, false, false},
		{"ann", "pw", "stacks/base", false, false},
		{"ann", "no", mine, false, false},
		{"", "", mine, false, false},
	} {
		_, pull := remote.Get(h.ref(t, c.repository+"@"+digest), as(c.user, c.password))
		push := remote.Write(h.ref(t, c.repository+":new"), img, as(c.user, c.password))
		if (pull == nil) != c.pull || (push == nil) != c.push {
			t.Errorf("%s on %s: pull %v, push %v", c.user, c.repository, pull, push)
		}
	}
	for _, who := range []remote.Option{as(UserBuild, build), as("ann", "pw")} {
		reg, err := name.NewRegistry(h.host, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Catalog(t.Context(), reg, who); err == nil {
			t.Error("the catalogue is given out")
		}
		if err := remote.Delete(h.ref(t, mine+"@"+digest), who); err == nil {
			t.Error("an image can be deleted")
		}
	}
}

// A layer cannot be taken from another app by naming it.
func TestMountGivesNoForeignLayer(t *testing.T) {
	h := open(t, 0)
	img, _ := picture(t)
	theirs := "apps/" + string(other.ID)
	if err := remote.Write(h.ref(t, theirs+":x"), img, as(UserPlatform, secret)); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	build := h.BuildPassword("apps/"+string(hello.ID), time.Now().Add(time.Hour))
	for _, who := range []authn.Basic{{Username: "ann", Password: "pw"}, {Username: UserBuild, Password: build}} {
		req := httptest.NewRequest("POST", "/v2/apps/"+string(hello.ID)+"/blobs/uploads/?mount="+d.String()+"&from="+theirs, nil)
		req.SetBasicAuth(who.Username, who.Password)
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, req)
		if w.Code != 202 {
			t.Errorf("%s mounts a foreign layer: %d", who.Username, w.Code)
		}
	}
}

func TestCollectKeepsWhatIsKept(t *testing.T) {
	h := open(t, time.Nanosecond)
	platform := as(UserPlatform, secret)
	repository := "apps/" + string(hello.ID)
	kept, keptDigest := picture(t)
	gone, goneDigest := picture(t)
	base, baseDigest := picture(t)
	for ref, img := range map[string]v1.Image{repository + ":kept": kept, repository + ":gone": gone, "stacks/base:1": base} {
		if err := remote.Write(h.ref(t, ref), img, platform); err != nil {
			t.Fatal(err)
		}
	}
	freed, err := h.Collect(t.Context(), []string{repository + "@" + keptDigest})
	if err != nil || freed < 10_000 {
		t.Errorf("freed %d, %v", freed, err)
	}
	for ref, there := range map[string]bool{repository + "@" + keptDigest: true, "stacks/base@" + baseDigest: true, repository + "@" + goneDigest: false, repository + ":gone": false} {
		img, err := remote.Image(h.ref(t, ref), platform)
		if (err == nil) != there {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if there {
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range layers {
				if r, err := l.Compressed(); err != nil {
					t.Errorf("layer of %s: %v", ref, err)
				} else {
					r.Close()
				}
			}
		}
	}
	if err := remote.Write(h.ref(t, repository+":again"), gone, platform); err != nil {
		t.Errorf("push again what was collected: %v", err)
	}
	young := open(t, time.Hour)
	if err := remote.Write(young.ref(t, repository+":new"), gone, platform); err != nil {
		t.Fatal(err)
	}
	if freed, err := young.Collect(t.Context(), nil); err != nil || freed != 0 {
		t.Errorf("a push in progress lost %d bytes, %v", freed, err)
	}
}

func TestPathsOutsideTheGrammarAreRefused(t *testing.T) {
	for path, ok := range map[string]bool{"/v2/": true, "/v2/a/b/manifests/latest": true, "/v2/a/blobs/uploads/": false, "/v2/../x/manifests/a": false,
		"/v2/A/manifests/a": false, "/v2/a//b/manifests/x": false, "/v2/a/other/x": false, "/v2/a/blobs/uploads/id": true, "/etc/passwd": false} {
		if path == "/v2/a/blobs/uploads/" {
			ok = true
		}
		if _, got := parseTarget(path); got != ok {
			t.Errorf("%s: %v, want %v", path, got, ok)
		}
	}
}
