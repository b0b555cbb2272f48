package image

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/steadpaas/stead"
)

// Remotes are the registries that ready images may come from, by host name as
// it stands in a reference ("ghcr.io", "registry.example.com:5000"). "*" is any
// registry with a public address; one that is named may have a private one.
type Remotes []string

// Allow reports whether images may come from the host.
func (r Remotes) Allow(host string) bool { return slices.Contains(r, host) || slices.Contains(r, "*") }

// Fetch finds a ready image of another registry, of this machine's platform.
// Its layers are read when it is pushed. The reference is a user's.
func (r Remotes) Fetch(ctx context.Context, ref string) (v1.Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, &stead.Error{Kind: stead.KindInvalid, Field: "image", Msg: "the image reference cannot be read",
			Hint: "write it as registry.example.com/name:tag or …@sha256:…", Err: err}
	}
	host := parsed.Context().RegistryStr()
	if !r.Allow(host) {
		return nil, &stead.Error{Kind: stead.KindForbidden, Field: "image", Msg: "this platform does not fetch images from " + host,
			Hint: "push the image to the platform's own registry with docker push, or ask your operator to allow that host"}
	}
	img, err := remote.Image(parsed, remote.WithContext(ctx), remote.WithAuth(authn.Anonymous), remote.WithTransport(r.transport(host)),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), remote.WithJobs(2))
	if err != nil {
		return nil, fetchError(host, ref, err)
	}
	return img, nil
}

func fetchError(host, ref string, err error) error {
	switch s := status(err); {
	case absent(err):
		return &stead.Error{Kind: stead.KindInvalid, Field: "image", Msg: "there is no image " + ref, Hint: "check its name and tag", Err: err}
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return &stead.Error{Kind: stead.KindInvalid, Field: "image", Msg: host + " does not give out the image " + ref,
			Hint: "check its name; images that need a login must be pushed to the platform's own registry", Err: err}
	}
	return stead.Unavailable("the image "+ref+" cannot be fetched from "+host, "check that the host is right and reachable, and try again", err)
}

// transport reaches public addresses only, unless the host was named by the
// operator: a reference must not be a way into the host's own network.
func (r Remotes) transport(host string) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !slices.Contains(r, host) {
		t.Proxy = nil
		d.Control = func(_, address string, _ syscall.RawConn) error { return publicOnly(address) }
	}
	t.DialContext = d.DialContext
	return t
}

func publicOnly(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	a := at.Addr().Unmap()
	cgnat := netip.MustParsePrefix("100.64.0.0/10")
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || cgnat.Contains(a) {
		return fmt.Errorf("%s is not a public address", a)
	}
	return nil
}

// Local reports whether a reference is of the platform's own registry, without
// host: "apps/<id>@sha256:…".
func Local(ref string) bool {
	return strings.HasPrefix(ref, "apps/") || strings.HasPrefix(ref, "stacks/")
}

// Check refuses an image that cannot run here: another platform's, one without
// layers, or one larger than limit (compressed bytes).
func Check(img v1.Image, limit int64) (size int64, err error) {
	c, err := img.ConfigFile()
	if err != nil {
		return 0, stead.Invalid("image", "the image's configuration cannot be read", "push it again")
	}
	if c.OS != "linux" || c.Architecture != runtime.GOARCH {
		return 0, stead.Invalid("image", "the image is for "+c.OS+"/"+c.Architecture+", and this platform runs linux/"+runtime.GOARCH,
			"build it with --platform linux/"+runtime.GOARCH)
	}
	size, err = Size(img)
	if err == nil && size > limit {
		return 0, &stead.Error{Kind: stead.KindLimit, Field: "image", Msg: fmt.Sprintf("the image is larger than %d MiB", limit>>20), Hint: "make it smaller, or ask your operator for a larger limit"}
	}
	return size, err
}
