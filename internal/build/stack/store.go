package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/steadpaas/stead/internal/build/image"
	"golang.org/x/sys/unix"
)

// Store keeps the base images in the registry and in a cache directory.
type Store struct {
	Registry image.Registry
	CacheDir string       // shared by the platforms of a machine; made if it is not there
	Apt      string       // a mirror of Debian; "": the host's
	Say      func(string) // progress, for people; may be nil
	Logger   *slog.Logger
}

// Run makes sure that the registry has the run image and returns its
// reference, "stacks/debian-12@sha256:…". With the image there it takes one
// request; from the cache, seconds; from nothing, a minute or two.
func (s Store) Run(ctx context.Context) (string, error) {
	r, err := s.recipe(RunName, runPackages())
	if err != nil {
		return "", err
	}
	return s.ensure(ctx, r, func(ctx context.Context, _ string) error { return s.bootstrap(ctx, r) })
}

// Build is Run for the build image. When neither the registry nor the cache has
// it, make is called to build it (see BuildLLB) and push it to the given reference.
func (s Store) Build(ctx context.Context, make func(ctx context.Context, ref string) error) (string, error) {
	r, err := s.recipe(BuildName, append(runPackages(), buildPackages()...))
	if err != nil {
		return "", err
	}
	return s.ensure(ctx, r, func(ctx context.Context, ref string) error {
		s.say("making the build image (Debian packages; once, a minute or two)")
		if err := make(ctx, ref); err != nil {
			return fmt.Errorf("make build image: %w", err)
		}
		img, err := s.Registry.Pull(ctx, ref)
		if err != nil {
			return err
		}
		return s.keep(r, img)
	})
}

func (s Store) recipe(name string, packages []string) (recipe, error) {
	extra, err := trust()
	if err != nil {
		return recipe{}, fmt.Errorf("read the host's certificate authorities: %w", err)
	}
	return recipe{name: name, packages: packages, sources: sources(s.Apt), trust: extra}, nil
}

// ensure looks in the registry, then in the cache, then has the image made and
// put into the cache.
func (s Store) ensure(ctx context.Context, r recipe, make func(ctx context.Context, ref string) error) (string, error) {
	ref := r.name + ":" + r.tag()
	if d, ok, err := s.Registry.Find(ctx, ref); err != nil || ok {
		return r.name + "@" + d.String(), err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	img, err := s.cached(r)
	if err != nil {
		if err := make(ctx, ref); err != nil {
			return "", err
		}
		img, err = s.cached(r)
	}
	if err != nil {
		return "", err
	}
	s.say("storing " + r.name + " in the registry")
	d, err := s.Registry.Push(ctx, ref, img)
	if err != nil {
		return "", err
	}
	s.Logger.Info("base image stored", "image", ref, "digest", d.String())
	return r.name + "@" + d.String(), nil
}

func (s Store) say(line string) {
	if s.Say != nil {
		s.Say(line)
	}
}

// lock keeps two platforms from making the same image at once.
func (s Store) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(s.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("make stack cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.CacheDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock stack cache: %w", err)
	}
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			tick.Stop()
			return func() { f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

func (s Store) dir(r recipe) string {
	return filepath.Join(s.CacheDir, filepath.Base(r.name)+"-"+runtime.GOARCH+"-"+r.tag())
}

// cached gives the image from the cache.
func (s Store) cached(r recipe) (v1.Image, error) {
	idx, err := layout.ImageIndexFromPath(s.dir(r))
	if err != nil {
		return nil, err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 {
		return nil, errors.New("the stack cache does not hold one image")
	}
	s.say("taking " + r.name + " from " + s.dir(r))
	return idx.Image(m.Manifests[0].Digest)
}

// keep writes the image to the cache; it appears there whole or not at all.
func (s Store) keep(r recipe, img v1.Image) error {
	tmp := s.dir(r) + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	p, err := layout.Write(tmp, empty.Index)
	if err == nil {
		err = p.AppendImage(img)
	}
	if err == nil {
		err = os.RemoveAll(s.dir(r))
	}
	if err == nil {
		err = os.Rename(tmp, s.dir(r))
	}
	if err != nil {
		_ = os.RemoveAll(tmp)
		return fmt.Errorf("keep base image: %w", err)
	}
	return nil
}

// bootstrap makes the run image from packages, in the cache.
func (s Store) bootstrap(ctx context.Context, r recipe) error {
	s.say("making the base image from Debian packages (once, a minute or two)")
	work, err := os.MkdirTemp(s.CacheDir, ".work")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	raw := filepath.Join(work, "raw.tar")
	if err := debootstrap(ctx, r, raw, s.say); err != nil {
		return fmt.Errorf("make base image: %w", err)
	}
	root := filepath.Join(work, "root.tar")
	if err := rewrite(root, raw); err != nil {
		return fmt.Errorf("make base image: %w", err)
	}
	img, err := runImage(root)
	if err != nil {
		return err
	}
	return s.keep(r, img)
}

func rewrite(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(finish(out, in), out.Close())
}

// runImage is the image of one layer with the root file system.
func runImage(root string) (v1.Image, error) {
	opener := func() (io.ReadCloser, error) { return os.Open(root) }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithCompression(compression.ZStd), tarball.WithCompressionLevel(3),
		tarball.WithMediaType(types.OCILayerZStd))
	if err != nil {
		return nil, fmt.Errorf("compress base image: %w", err)
	}
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	c := Config()
	at := v1.Time{Time: time.Unix(epoch, 0).UTC()}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Created: at,
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Env: c.Env, WorkingDir: c.WorkingDir, Cmd: c.Cmd}})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{Layer: layer, MediaType: types.OCILayerZStd,
		History: v1.History{Created: at, CreatedBy: "Debian packages", Comment: "stead base image"}})
}
