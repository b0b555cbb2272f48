package buildkit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/image"
	"github.com/steadpaas/stead/internal/build/pack"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"github.com/steadpaas/stead/internal/build/source"
)

// Build makes the request's image. It waits for a free slot first.
func (b *Builder) Build(ctx context.Context, req build.Request) (build.Result, error) {
	j := &job{Builder: b, req: req, limits: b.cfg.limitsOf(req.Limits), out: newPrinter(req.Output)}
	release, err := b.admit(ctx, string(req.ID), j.limits)
	if err != nil {
		return build.Result{}, err
	}
	defer release()
	j.deadline = time.Now().Add(j.limits.Time)
	if req.Source.Kind == stead.SourceImage {
		return j.takeImage(ctx)
	}
	return j.build(ctx)
}

// job is one build in progress.
type job struct {
	*Builder
	req      build.Request
	limits   build.Limits
	deadline time.Time
	out      *printer
	stages   []stead.Stage

	mu       sync.Mutex
	breaches map[breach]bool
}

func (j *job) build(ctx context.Context) (build.Result, error) {
	dir := j.cfg.path("source", filepath.Base(string(j.req.ID)))
	defer os.RemoveAll(dir)
	var found *pack.Detected
	err := j.stage("source", func() (err error) {
		if err = j.unpack(ctx, dir); err == nil {
			found, err = j.detectIn(dir)
		}
		return err
	})
	if err != nil {
		return build.Result{}, err
	}
	j.announce(found)
	s, err := j.plan(ctx, found, dir)
	if err != nil {
		return build.Result{}, err
	}
	digest, err := j.run(ctx, s)
	if err != nil {
		return build.Result{}, err
	}
	return j.result(ctx, planOf(found), s.repository, digest)
}

func (j *job) unpack(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make source directory: %w", err)
	}
	r, err := j.req.Archive()
	if err != nil {
		return fmt.Errorf("open source: %w", err)
	}
	defer r.Close()
	return source.Unpack(ctx, r, dir, source.Limits{Bytes: j.limits.Source, Files: j.limits.Files})
}

func (j *job) detectIn(dir string) (*pack.Detected, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open source tree: %w", err)
	}
	defer root.Close()
	return j.detect(root.FS())
}

func (j *job) announce(d *pack.Detected) {
	j.out.line("Detected %s", d.Summary)
	for _, n := range d.Notes {
		j.out.line("Note: %s", n)
	}
	shown := 0
	for _, f := range d.Findings {
		if f.Honoured {
			continue
		}
		if shown++; shown > maxFindings {
			j.out.line("Note: there is more; stead explain-source shows all of it")
			break
		}
		j.out.line("Note: %s: %s: not honoured: %s", f.File, f.Says, f.Means)
	}
}

// maxFindings is how much a push tells of what is not honoured.
const maxFindings = 10

// plan turns what was detected into what the daemon is asked.
func (j *job) plan(ctx context.Context, d *pack.Detected, dir string) (solution, error) {
	base, err := j.Stacks(ctx, func(line string) { j.out.line("%s", line) })
	if err != nil {
		return solution{}, err
	}
	s := solution{tree: dir, repository: "apps/" + string(j.req.App), shared: string(j.req.App), secrets: environment(d.Wishes, j.req.Config)}
	if d.Frontend != "" {
		s.frontend, s.attrs = d.Frontend, j.frontendAttrs(d, base)
		return s, nil
	}
	planned, err := d.LLB(pack.Inputs{
		Source: llb.Local(localSource, llb.SharedKeyHint(string(j.req.App)), llb.WithCustomName("[internal] read source")),
		Run:    j.base(base.Run), Build: j.base(base.Build), CacheScope: string(j.req.Org) + "/" + string(j.req.App),
		Mirrors: j.cfg.Mirrors, Platform: platform(), BuildEnv: s.secrets})
	if err != nil {
		return s, err
	}
	s.config = &planned.Config
	if s.def, err = planned.State.Marshal(ctx, llb.Platform(platform())); err != nil {
		return s, fmt.Errorf("write build plan: %w", err)
	}
	return s, nil
}

// environment is what build steps get: defaults of the source, over them what
// is set on the app, over it what is for builds.
func environment(w stead.Wishes, config stead.Config) stead.Config {
	out := stead.Config{}
	for k, v := range w.Config {
		if v.Value != "" {
			out[k] = v.Value
		}
	}
	maps.Copy(out, config)
	maps.Copy(out, w.Build.Env)
	return out
}

// base is a base image of the registry, by digest, with its environment.
func (b *Builder) base(ref string) llb.State {
	return llb.Image(b.cfg.Registry.Host+"/"+ref, llb.WithCustomName("[base] "+ref)).
		AddEnv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").AddEnv("LANG", "C.UTF-8")
}

// frontendAttrs are the Dockerfile frontend's options. A syntax line in the
// Dockerfile would fetch another frontend; "cmdline" says that it was done.
// The base images go by names of their own.
func (j *job) frontendAttrs(d *pack.Detected, base Stacks) map[string]string {
	attrs := map[string]string{"cmdline": d.Frontend,
		"context:stead/debian-12":       "docker-image://" + j.cfg.Registry.Host + "/" + base.Run,
		"context:stead/debian-12-build": "docker-image://" + j.cfg.Registry.Host + "/" + base.Build}
	for k, v := range plan.MirrorVariables(j.cfg.Mirrors) {
		attrs["build-arg:"+k] = v
	}
	for k, v := range d.FrontendOpts {
		attrs[k] = v
	}
	return attrs
}

// run solves under guard. When the daemon dies meanwhile, it is tried once
// more: what was done is cached, and the death may not have been this build's.
func (j *job) run(ctx context.Context, s solution) (digest string, err error) {
	for range 2 {
		digest, err = j.attempt(ctx, s)
		if !daemonGone(err) || ctx.Err() != nil {
			break
		}
		j.out.line("the build daemon ended; waiting for it to come back")
		wait, cancel := context.WithTimeout(ctx, time.Minute)
		ready := j.Ready(wait)
		cancel()
		if ready != nil {
			return "", unavailable(ready)
		}
	}
	return digest, j.explain(ctx, err)
}

func (j *job) attempt(ctx context.Context, s solution) (digest string, err error) {
	ctx, cancel := context.WithDeadlineCause(ctx, j.deadline, errTime)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w, err := j.groups.watch()
	if err != nil {
		return "", err
	}
	defer w.close()
	watched, done := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		j.guard(watched, w, func(k breach) {
			if j.breached(k); k == breachDisk {
				stop(errDisk)
			}
		})
	})
	began := time.Now()
	digest, err = j.solve(ctx, s, j.deadline, j.out)
	done()
	wg.Wait()
	j.split(began)
	return digest, err
}

func (j *job) breached(k breach) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.breaches == nil {
		j.breaches = map[breach]bool{}
	}
	j.breaches[k] = true
}

// stage times one part of the build.
func (j *job) stage(name string, f func() error) error {
	began := time.Now()
	err := f()
	j.stages = append(j.stages, stead.Stage{Name: name, Seconds: time.Since(began).Seconds()})
	return err
}

// split divides the solve's time at the moment the export began.
func (j *job) split(began time.Time) {
	end := time.Now()
	push := j.out.exportBegan()
	if push.IsZero() || push.Before(began) {
		push = end
	}
	j.stages = append(j.stages, stead.Stage{Name: "build", Seconds: push.Sub(began).Seconds()}, stead.Stage{Name: "push", Seconds: end.Sub(push).Seconds()})
}

func (j *job) result(ctx context.Context, p build.Plan, repository, digest string) (build.Result, error) {
	ref := repository + "@" + digest
	img, err := j.cfg.Registry.Pull(ctx, ref)
	if err != nil {
		return build.Result{}, err
	}
	size, err := image.Size(img)
	if err != nil {
		return build.Result{}, err
	}
	j.out.line("Image %s, %.1f MiB", digest[:min(len(digest), 19)], float64(size)/(1<<20))
	return build.Result{Plan: p, Image: stead.Image{Ref: ref, Digest: digest, Processes: p.Processes, Size: size}, Stages: j.stages}, nil
}

var errTime = errors.New("a build reached its time limit")
