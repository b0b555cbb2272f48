package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// localSource names the tree in plans.
const localSource = "source"

// solution is one solve: what the daemon is asked, and where the image goes.
type solution struct {
	def        *llb.Definition // nil: a frontend
	frontend   string
	attrs      map[string]string
	tree       string // directory of the source; "": none
	config     *ocispecs.ImageConfig
	repository string // of the platform's registry
	tag        string // "": by digest only
	shared     string // names whose tree it is, so that only changes are sent
	secrets    stead.Config
}

// solve runs it and returns the image's digest.
func (b *Builder) solve(ctx context.Context, s solution, deadline time.Time, out *printer) (string, error) {
	c, err := b.connect(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	opt, err := b.options(s, deadline)
	if err != nil {
		return "", err
	}
	status := make(chan *client.SolveStatus, 16)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		for st := range status {
			out.status(st)
		}
	}()
	res, err := c.Solve(ctx, s.def, opt, status)
	<-printed
	if err != nil {
		return "", err
	}
	return res.ExporterResponse["containerimage.digest"], nil
}

func (b *Builder) options(s solution, deadline time.Time) (client.SolveOpt, error) {
	export := map[string]string{"name": b.cfg.Registry.Host + "/" + s.repository, "push": "true", "oci-mediatypes": "true",
		"compression": "zstd", "compression-level": "1"}
	if s.tag == "" {
		export["push-by-digest"] = "true"
	} else {
		export["name"] += ":" + s.tag
	}
	if s.config != nil {
		data, err := json.Marshal(ocispecs.Image{Platform: platform(), Config: *s.config})
		if err != nil {
			return client.SolveOpt{}, fmt.Errorf("write image configuration: %w", err)
		}
		export["containerimage.config"] = string(data)
	}
	user, password := b.credential(s.repository, deadline)
	secrets := plan.MirrorSecrets(b.cfg.Mirrors)
	for k, v := range s.secrets {
		secrets[k] = []byte(v)
	}
	opt := client.SolveOpt{Exports: []client.ExportEntry{{Type: client.ExporterImage, Attrs: export}},
		Frontend: s.frontend, FrontendAttrs: s.attrs, SharedKey: s.shared, SourcePolicy: b.policy(),
		Session: []session.Attachable{login{host: b.cfg.Registry.Host, user: user, password: password}, secretsprovider.FromMap(secrets)}}
	if s.tree == "" {
		return opt, nil
	}
	tree, err := openTree(s.tree)
	if err != nil {
		return opt, err
	}
	opt.LocalMounts = map[string]fsutil.FS{localSource: tree}
	if s.frontend == plan.FrontendDockerfile {
		opt.LocalMounts = map[string]fsutil.FS{"context": tree, "dockerfile": tree}
	}
	return opt, nil
}

// openTree gives the daemon the source, owned by the apps' user whoever owns
// it here: steps run as that user.
func openTree(dir string) (fsutil.FS, error) {
	tree, err := fsutil.NewFS(dir)
	if err == nil {
		tree, err = fsutil.NewFilterFS(tree, &fsutil.FilterOpt{Map: func(_ string, st *types.Stat) fsutil.MapResult {
			st.Uid, st.Gid = plan.AppUser, plan.AppUser
			return fsutil.MapResultKeep
		}})
	}
	if err != nil {
		return nil, fmt.Errorf("open source tree: %w", err)
	}
	return tree, nil
}

// credential is what the session answers when the daemon asks for the
// registry's password. Build steps share the daemon's network, so it opens the
// one repository only, and not for longer than the build.
func (b *Builder) credential(repository string, until time.Time) (user, password string) {
	if b.cfg.Credential == nil {
		return b.cfg.Registry.User, b.cfg.Registry.Password
	}
	return b.cfg.Credential(repository, until)
}
