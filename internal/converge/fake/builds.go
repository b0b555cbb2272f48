package fake

import (
	"context"
	"io"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

// Token is the one secret that Authenticate accepts.
const Token = "secret"

func (p *Platform) Authenticate(_ context.Context, secret string) (stead.Actor, error) {
	if secret != Token {
		return stead.Actor{}, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "no"}
	}
	return stead.System, nil
}

func (p *Platform) App(_ context.Context, ref string) (stead.App, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.find(ref); a != nil {
		return a.App, nil
	}
	return stead.App{}, stead.NotFound("app", ref)
}

func (p *Platform) AuthorizeRepository(context.Context, string, bool) (stead.App, error) {
	return stead.App{}, p.fault("AuthorizeRepository")
}

func (p *Platform) UploadSource(ctx context.Context, _ string, r io.Reader) (stead.Source, error) {
	d, n, err := p.Put(ctx, r, 0)
	return stead.Source{Kind: stead.SourceArchive, Digest: d, Size: n}, err
}

func (p *Platform) Push(_ context.Context, ref string, src stead.Source) (stead.Build, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.find(ref)
	b := &stead.Build{ID: stead.NewID(time.Now()), AppID: a.App.ID, Number: len(a.builds) + 1, State: stead.BuildQueued, Source: src}
	a.builds = append(a.builds, b)
	p.wake()
	return *b, nil
}

func (p *Platform) Build(_ context.Context, ref string, number int) (stead.Build, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.find(ref).builds[number-1], nil
}

func (p *Platform) Release(_ context.Context, ref string, version int) (stead.Release, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(ref).releases[version-1].Release, nil
}

func (p *Platform) ClaimBuild(context.Context, string, time.Duration) (*platform.BuildJob, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		for _, b := range a.builds {
			if b.State == stead.BuildQueued {
				b.State = stead.BuildRunning
				return &platform.BuildJob{Build: *b, App: a.App, Config: a.config}, nil
			}
		}
	}
	return nil, nil
}

func (p *Platform) KeepBuild(context.Context, stead.ID, string, time.Duration) error {
	return p.fault("KeepBuild")
}

func (p *Platform) FinishBuild(_ context.Context, id stead.ID, _ string, out platform.BuildOutcome, failure error) (stead.Build, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		for _, b := range a.builds {
			if b.ID != id {
				continue
			}
			b.State, b.Pack, b.Image = stead.BuildSucceeded, out.Pack, out.Image
			if failure != nil {
				b.State, b.Reason = stead.BuildFailed, failure.Error()
				return *b, nil
			}
			b.Release = p.release(a, out.Image).Version
			return *b, nil
		}
	}
	return stead.Build{}, stead.NotFound("build", string(id))
}

// Releases returns how many releases an app has had.
func (p *Platform) Releases(ref string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.find(ref).releases), nil
}

// Pushed returns how many builds an app has had.
func (p *Platform) Pushed(ref string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.find(ref).builds), nil
}
