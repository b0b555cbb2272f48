package buildkit

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/image"
)

// takeImage makes a release of a ready image: one that was pushed to the app's
// own repository, or one of another registry, which is copied there.
func (j *job) takeImage(ctx context.Context) (build.Result, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, j.deadline, errTime)
	defer cancel()
	repository := "apps/" + string(j.req.App)
	ref := j.req.Source.Image
	var img v1.Image
	var size int64
	err := j.stage("source", func() (err error) {
		if img, err = j.findImage(ctx, ref, repository); err == nil {
			size, err = image.Check(img, j.limits.Source)
		}
		return err
	})
	if err != nil {
		return build.Result{}, j.explain(ctx, err)
	}
	var digest v1.Hash
	err = j.stage("push", func() (err error) {
		if image.Local(ref) {
			digest, err = img.Digest()
			return err
		}
		j.out.line("Copying %s (%.1f MiB)", ref, float64(size)/(1<<20))
		digest, err = j.cfg.Registry.Push(ctx, repository+":b-"+string(j.req.ID), img)
		return err
	})
	if err != nil {
		return build.Result{}, j.explain(ctx, err)
	}
	plan := build.Plan{Pack: "image", Summary: "the image " + ref, Processes: map[string]stead.Command{stead.ProcessWeb: nil}}
	j.out.line("Image %s, %.1f MiB", digest.String()[:19], float64(size)/(1<<20))
	return build.Result{Plan: plan, Stages: j.stages,
		Image: stead.Image{Ref: repository + "@" + digest.String(), Digest: digest.String(), Processes: plan.Processes, Size: size}}, nil
}

func (j *job) findImage(ctx context.Context, ref, own string) (v1.Image, error) {
	if !image.Local(ref) {
		return j.cfg.Remotes.Fetch(ctx, ref)
	}
	if !strings.HasPrefix(ref, own+"@sha256:") {
		return nil, stead.NotFound("image", ref)
	}
	img, err := j.cfg.Registry.Pull(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("find image: %w", err)
	}
	return img, nil
}
