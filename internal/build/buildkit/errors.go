package buildkit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/opencontainers/go-digest"
	"github.com/steadpaas/stead"
	"google.golang.org/grpc/codes"
)

func unavailable(err error) error {
	return stead.Unavailable("the build daemon does not answer", "try again in a moment; \"stead status\" shows the builder", err)
}

// daemonGone reports whether a solve ended because the daemon did.
func daemonGone(err error) bool {
	if err == nil {
		return false
	}
	if stead.KindOf(err) == stead.KindUnavailable {
		return true
	}
	return grpcerrors.Code(err) == codes.Unavailable
}

// explain turns a solve's failure into the build's reason.
func (j *job) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if limit := j.overLimit(err); limit != nil {
		return limit
	}
	switch {
	case daemonGone(err):
		return unavailable(err)
	case stead.KindOf(err) != stead.KindInternal:
		return err
	}
	return j.stepError(err)
}

// overLimit is the reason when a cap ended the build.
func (j *job) overLimit(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	limit := func(msg, hint string) error {
		return &stead.Error{Kind: stead.KindLimit, Msg: msg, Hint: hint, Err: err}
	}
	switch {
	case time.Now().After(j.deadline):
		return limit("the build took longer than "+j.limits.Time.String()+" and was ended",
			"make it do less, such as fetching fewer dependencies, or ask your operator for a longer limit")
	case j.breaches[breachDisk]:
		return limit("the build wrote more than it may ("+bytesText(j.cfg.GrowthLimit)+"), or the disk is nearly full",
			"write less, remove temporary files in the step that makes them, or ask your operator for room")
	case j.breaches[breachMemory]:
		return limit("the build exceeded its memory ("+bytesText(j.limits.Memory)+") and was killed",
			"run fewer jobs in parallel, as with make -j2 or NODE_OPTIONS=--max-old-space-size, or ask your operator for a larger limit")
	case j.breaches[breachPIDs]:
		return limit(fmt.Sprintf("the build started more than %d processes at once", j.limits.PIDs),
			"run fewer jobs in parallel, and look for a script that starts itself")
	}
	return nil
}

// stepError says which step failed and how.
func (j *job) stepError(err error) error {
	name := ""
	if v, ok := errors.AsType[*errdefs.VertexError](err); ok {
		name = j.out.name(digest.Digest(v.GetDigest()))
	}
	if e, ok := errors.AsType[*gateway.ExitError](err); ok && name != "" {
		return &stead.Error{Kind: stead.KindInvalid, Field: "source", Err: err,
			Msg:  fmt.Sprintf("the step %q failed with exit status %d", clip(name), e.ExitCode),
			Hint: "its output is above; the same command fails the same way in a clean checkout"}
	}
	text := err.Error()
	if strings.Contains(text, "not allowed by policy") || strings.Contains(text, "source denied") {
		return &stead.Error{Kind: stead.KindInvalid, Field: "Dockerfile", Err: err,
			Msg:  "the Dockerfile starts from an image that this platform does not fetch: " + clip(firstLine(text)),
			Hint: "use FROM stead/debian-12 or FROM stead/debian-12-build, or ask your operator to allow other registries"}
	}
	msg := "the build failed: " + clip(firstLine(text))
	if name != "" {
		msg = fmt.Sprintf("the step %q failed: %s", clip(name), clip(firstLine(text)))
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: "source", Msg: msg, Hint: "the lines above show what led to it", Err: err}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimPrefix(s, "failed to solve: ")
}

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
