package containerd

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead"
)

// imageHost stands for the platform's registry in names of images, so that
// they stay the same when the registry moves.
const imageHost = "stead.internal/"

const pullLimit = 10 * time.Minute

// imageInfo is what a start needs to know of an image that is there.
type imageInfo struct {
	name   string
	chain  string // of its top layer
	config ocispec.ImageConfig
}

func (i *imageInfo) cwd() string {
	if i.config.WorkingDir == "" {
		return "/"
	}
	return i.config.WorkingDir
}

// namesUser is whether the image's files are needed to know who runs.
func (i *imageInfo) namesUser() bool {
	u := i.config.User
	return u != "" && u != "0" && u != "root"
}

func noCommand() error {
	return stead.Invalid("command", "the image says no command to run", "add a Procfile, or CMD to the Dockerfile")
}

// image returns the image, pulled and unpacked. Concurrent calls for one image
// pull it once.
func (e *Engine) image(ctx context.Context, ref string) (*imageInfo, error) {
	if known, ok := e.images.Load(imageHost + ref); ok {
		return known.(*imageInfo), nil
	}
	result := e.pulls.DoChan(ref, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pullLimit)
		defer cancel()
		return e.fetch(ctx, ref)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*imageInfo), nil
	}
}

func (e *Engine) fetch(ctx context.Context, ref string) (*imageInfo, error) {
	if !strings.Contains(ref, "@sha256:") {
		return nil, stead.Invalid("image", "the image "+strconv.Quote(ref)+" is not named by digest", "name it repository@sha256:…")
	}
	c, name := e.containerd(), imageHost+ref
	img, err := c.GetImage(ctx, name)
	if err == nil {
		if ok, uerr := img.IsUnpacked(ctx, snapshotter); uerr != nil || !ok {
			err = errdefs.ErrNotFound
		}
	}
	if errdefs.IsNotFound(err) {
		img, err = c.Pull(ctx, name, client.WithResolver(e.resolver()), client.WithPullUnpack, client.WithPullSnapshotter(snapshotter),
			client.WithPullLabel(labelPlatform, e.cfg.ID))
	}
	if err != nil {
		return nil, pullError(ref, err)
	}
	info, err := inspect(ctx, img)
	if err != nil {
		return nil, pullError(ref, err)
	}
	e.images.Store(name, info)
	return info, nil
}

func pullError(ref string, err error) error {
	if unavailable(err) {
		return fmt.Errorf("pull image: %w", err)
	}
	return &stead.Error{Kind: stead.KindPrecondition,
		Msg: "the image " + ref + " could not be fetched", Hint: "push or build again", Err: err}
}

func inspect(ctx context.Context, img client.Image) (*imageInfo, error) {
	desc, err := img.Config(ctx)
	if err != nil {
		return nil, err
	}
	data, err := content.ReadBlob(ctx, img.ContentStore(), desc)
	if err != nil {
		return nil, err
	}
	var conf ocispec.Image
	if err := json.Unmarshal(data, &conf); err != nil {
		return nil, fmt.Errorf("read image configuration: %w", err)
	}
	diffs, err := img.RootFS(ctx)
	if err != nil {
		return nil, err
	}
	return &imageInfo{name: img.Name(), chain: identity.ChainID(diffs).String(), config: conf.Config}, nil
}

// resolver finds images in the platform's registry, whatever host they name.
func (e *Engine) resolver() remotes.Resolver {
	reg := e.cfg.Registry
	return docker.NewResolver(docker.ResolverOptions{Hosts: func(string) ([]docker.RegistryHost, error) {
		return []docker.RegistryHost{{Client: &http.Client{}, Host: reg.Host, Scheme: "http", Path: "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve, Header: basic(reg.User, reg.Password)}}, nil
	}})
}

// user sets the user that the image asks for; a name is looked up in its files.
func (e *Engine) user(img *imageInfo) oci.SpecOpts {
	u := img.config.User
	if !img.namesUser() {
		return func(context.Context, oci.Client, *containers.Container, *specs.Spec) error { return nil }
	}
	return oci.Compose(oci.WithUser(u), func(ctx context.Context, c oci.Client, k *containers.Container, s *specs.Spec) error {
		return oci.WithAdditionalGIDs(strconv.FormatUint(uint64(s.Process.User.UID), 10))(ctx, c, k, s)
	})
}

// Collect implements engine.Collector.
func (e *Engine) Collect(ctx context.Context, keep []string) (int64, error) {
	select {
	case <-e.ready:
	default:
		return 0, stead.Unavailable("the engine is not ready", "try again in a moment", nil)
	}
	return e.dropImages(ctx, keep...)
}

// dropImages removes the images that no workload uses and that are not in keep.
func (e *Engine) dropImages(ctx context.Context, keep ...string) (freed int64, err error) {
	c := e.containerd()
	all, err := c.ImageService().List(ctx, "labels.\""+labelPlatform+"\"=="+e.cfg.ID)
	if err != nil {
		return 0, fmt.Errorf("list images: %w", err)
	}
	used := e.usedImages()
	var errs []error
	for _, img := range all {
		ref := strings.TrimPrefix(img.Name, imageHost)
		if slices.Contains(keep, ref) || used[ref] {
			continue
		}
		size, _ := client.NewImage(c, img).Size(ctx)
		e.images.Delete(img.Name)
		if err := c.ImageService().Delete(ctx, img.Name); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
			continue
		}
		freed += size
	}
	return freed, errors.Join(errs...)
}

func (e *Engine) usedImages() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	used := map[string]bool{}
	for _, w := range e.workloads {
		used[w.Workload.Image] = true
	}
	return used
}

func basic(user, password string) http.Header {
	if user == "" {
		return nil
	}
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}
