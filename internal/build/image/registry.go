// Package image moves ready images: from archives, layouts and registries into
// the platform's own registry.
package image

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is the platform's image registry, which speaks plain HTTP on an
// address that only the platform's own network reaches.
type Registry struct {
	Host           string // host:port, the same from the host and from the build sandbox
	User, Password string
}

// Options are what go-containerregistry needs to speak to the registry.
func (r Registry) Options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: r.User, Password: r.Password}),
		remote.WithTransport(direct()), remote.WithJobs(2)}
}

// direct has no proxy: the registry is next door.
func direct() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	return t
}

// Reference parses "repository:tag" or "repository@digest" as one of this registry.
func (r Registry) Reference(ref string) (name.Reference, error) {
	parsed, err := name.ParseReference(r.Host+"/"+ref, name.Insecure, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("read image reference %q: %w", ref, err)
	}
	return parsed, nil
}

// Find returns the digest that a reference stands for, and whether it is there.
func (r Registry) Find(ctx context.Context, ref string) (v1.Hash, bool, error) {
	parsed, err := r.Reference(ref)
	if err != nil {
		return v1.Hash{}, false, err
	}
	d, err := remote.Head(parsed, r.Options(ctx)...)
	if absent(err) {
		return v1.Hash{}, false, nil
	}
	if err != nil {
		return v1.Hash{}, false, fmt.Errorf("look for image %s: %w", ref, err)
	}
	return d.Digest, true, nil
}

// Push stores an image under a tag ("repository:tag") and returns its digest.
func (r Registry) Push(ctx context.Context, ref string, img v1.Image) (v1.Hash, error) {
	parsed, err := r.Reference(ref)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := remote.Write(parsed, img, r.Options(ctx)...); err != nil {
		return v1.Hash{}, fmt.Errorf("push image %s: %w", ref, err)
	}
	return img.Digest()
}

// Pull gives an image of the registry; its layers are read when asked for.
func (r Registry) Pull(ctx context.Context, ref string) (v1.Image, error) {
	parsed, err := r.Reference(ref)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(parsed, r.Options(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("pull image %s: %w", ref, err)
	}
	return img, nil
}

// Size returns the compressed bytes of all layers.
func Size(img v1.Image) (total int64, err error) {
	m, err := img.Manifest()
	if err != nil {
		return 0, fmt.Errorf("read manifest: %w", err)
	}
	for _, l := range m.Layers {
		total += l.Size
	}
	return total, nil
}
