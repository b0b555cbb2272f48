package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/steadpaas/stead"
)

// UploadSource stores a tar.gz tree for a later Push.
func (c *Client) UploadSource(ctx context.Context, app string, archive io.Reader) (stead.Source, error) {
	return do[stead.Source](ctx, c, call{method: http.MethodPost, path: path("apps", app, "sources"),
		body: io.NopCloser(archive), header: http.Header{"Content-Type": {"application/gzip"}}})
}

// Explain tells what a tar.gz tree is and asks for, without building it.
func (c *Client) Explain(ctx context.Context, archive io.Reader) (stead.Explanation, error) {
	return do[stead.Explanation](ctx, c, call{method: http.MethodPost, path: path("explain"),
		body: io.NopCloser(archive), header: http.Header{"Content-Type": {"application/gzip"}}})
}

// Push queues a build of an uploaded source or of an image.
func (c *Client) Push(ctx context.Context, app string, src stead.Source) (stead.Build, error) {
	return send[stead.Build](ctx, c, http.MethodPost, path("apps", app, "builds"), src)
}

// Builds lists at most limit builds, newest first; 0: all.
func (c *Client) Builds(ctx context.Context, app string, limit int) ([]stead.Build, error) {
	return pages[stead.Build](ctx, c, path("apps", app, "builds"), limit)
}

// Build returns a build by its number.
func (c *Client) Build(ctx context.Context, app string, number int) (stead.Build, error) {
	return get[stead.Build](ctx, c, path("apps", app, "builds", strconv.Itoa(number)), nil)
}

// CancelBuild ends a build that is queued or runs.
func (c *Client) CancelBuild(ctx context.Context, app string, number int) (stead.Build, error) {
	return send[stead.Build](ctx, c, http.MethodPost, path("apps", app, "builds", strconv.Itoa(number), "cancel"), nil)
}

// Releases lists at most limit releases, newest first; 0: all.
func (c *Client) Releases(ctx context.Context, app string, limit int) ([]stead.Release, error) {
	return pages[stead.Release](ctx, c, path("apps", app, "releases"), limit)
}

// Release returns a release by its version.
func (c *Client) Release(ctx context.Context, app string, version int) (stead.Release, error) {
	return get[stead.Release](ctx, c, path("apps", app, "releases", strconv.Itoa(version)), nil)
}

// Rollback makes a new release of an old one; 0: of the one before the live one.
func (c *Client) Rollback(ctx context.Context, app string, version int) (stead.Release, error) {
	return send[stead.Release](ctx, c, http.MethodPost, path("apps", app, "rollback"), map[string]int{"version": version})
}

// BuildOutput yields the build's lines from the first and, with follow, those
// to come until the build ends. A broken connection is made again and loses no
// line; an error is the last thing yielded.
func (c *Client) BuildOutput(ctx context.Context, app string, number int, follow bool) iter.Seq2[stead.Line, error] {
	return stream[stead.Line](ctx, c, path("apps", app, "builds", strconv.Itoa(number), "output"), followed(follow))
}

// ReleaseOutput yields what the release did: its release phase, each instance
// coming up, the URL or why it failed. It goes on as BuildOutput does.
func (c *Client) ReleaseOutput(ctx context.Context, app string, version int, follow bool) iter.Seq2[stead.Line, error] {
	return stream[stead.Line](ctx, c, path("apps", app, "releases", strconv.Itoa(version), "output"), followed(follow))
}

// Logs yields lines of the app. A broken connection is made again, as for
// BuildOutput.
func (c *Client) Logs(ctx context.Context, app string, l stead.LogQuery) iter.Seq2[stead.Line, error] {
	q := followed(l.Follow)
	q.Set("num", strconv.Itoa(l.Num))
	set(q, "source", l.Source)
	set(q, "process", l.Process)
	return stream[stead.Line](ctx, c, path("apps", app, "logs"), q)
}

func followed(follow bool) url.Values {
	q := url.Values{}
	if follow {
		q.Set("follow", "true")
	}
	return q
}

const pageSize = 100

// pages reads a list page by page, up to limit items.
func pages[T any](ctx context.Context, c *Client, path string, limit int) ([]T, error) {
	var all []T
	q := url.Values{}
	for {
		n := pageSize
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		q.Set("limit", strconv.Itoa(n))
		l, err := get[list[T]](ctx, c, path, q)
		if err != nil {
			return nil, err
		}
		if all = append(all, l.Items...); l.Next == "" || len(l.Items) == 0 || (limit > 0 && len(all) >= limit) {
			return all, nil
		}
		q.Set("cursor", l.Next)
	}
}
