// Package fake is a builder that builds nothing: it reads the archive, names
// the pack by the files it sees and makes an image reference out of the
// archive's digest. It is for tests and for use with the fake engine.
package fake

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/descriptor"
	"github.com/steadpaas/stead/internal/build/source"
)

// Names of files at the top of a tree that decide how its build ends.
const (
	FailBuild = "fail-build" // the build fails
	FailBoot  = "fail-boot"  // the image's instances never bind, on the fake engine
)

// Caps for requests that set none.
const (
	maxSource = 512 << 20
	maxFiles  = 50_000
	maxRead   = 64 << 10 // of a file whose text matters
)

// Builder is a build.Builder without state.
type Builder struct{}

// New returns a Builder.
func New() Builder { return Builder{} }

// tree is what is known of a source: the files at its top.
type tree struct {
	files    map[string]bool
	procfile []byte
}

// Detect implements build.Builder.
func (Builder) Detect(ctx context.Context, dir fs.FS) (build.Plan, error) {
	if err := ctx.Err(); err != nil {
		return build.Plan{}, err
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return build.Plan{}, fmt.Errorf("read source: %w", err)
	}
	t := tree{files: map[string]bool{}}
	for _, e := range entries {
		t.files[e.Name()] = e.Type().IsRegular()
	}
	if t.files["Procfile"] {
		f, err := dir.Open("Procfile")
		if err != nil {
			return build.Plan{}, fmt.Errorf("read Procfile: %w", err)
		}
		defer f.Close()
		if t.procfile, err = io.ReadAll(io.LimitReader(f, maxRead+1)); err != nil {
			return build.Plan{}, fmt.Errorf("read Procfile: %w", err)
		}
	}
	return t.plan()
}

func (t tree) plan() (build.Plan, error) {
	p := build.Plan{Pack: "binary", Summary: "files without a known build"}
	for _, k := range [...]struct{ file, pack, summary string }{
		{"Dockerfile", "dockerfile", "Dockerfile"}, {"go.mod", "go", "Go (go.mod)"}, {"package.json", "node", "Node.js (package.json)"},
		{"requirements.txt", "python", "Python (requirements.txt)"}, {"pyproject.toml", "python", "Python (pyproject.toml)"},
		{"index.html", "static", "static site (index.html)"},
	} {
		if t.files[k.file] {
			p.Pack, p.Summary = k.pack, k.summary
			break
		}
	}
	p.Processes = map[string]stead.Command{stead.ProcessWeb: nil}
	if t.files["Procfile"] {
		procs, err := stead.ParseProcfile(t.procfile)
		if err != nil {
			return build.Plan{}, err
		}
		p.Processes = procs
	}
	return p, nil
}

// Build implements build.Builder.
func (Builder) Build(ctx context.Context, r build.Request) (build.Result, error) {
	out := r.Output
	if out == nil {
		out = func(string) {}
	}
	start := time.Now()
	if r.Source.Kind == stead.SourceImage {
		return ready(r.Source.Image, out)
	}
	t, sum, size, err := read(ctx, r)
	if err != nil {
		return build.Result{}, err
	}
	plan, err := t.plan()
	if err != nil {
		return build.Result{}, err
	}
	if plan.Wishes, err = wishes(ctx, r); err != nil {
		return build.Result{}, err
	}
	out("-----> " + plan.Summary + " detected")
	out("-----> Building " + r.AppName)
	if t.files[FailBuild] {
		out("       error: the source holds a file named " + FailBuild)
		return build.Result{Plan: plan}, stead.Invalid("source", "the build failed: the source holds a file named "+FailBuild, "remove the file and push again")
	}
	repo := "apps/" + string(r.App)
	if t.files[FailBoot] {
		repo += "/" + FailBoot
	}
	digest := "sha256:" + hex.EncodeToString(sum)
	out("-----> Image " + digest[:19])
	return build.Result{Plan: plan, Stages: []stead.Stage{{Name: "source", Seconds: time.Since(start).Seconds()}, {Name: "build"}, {Name: "push"}},
		Image: stead.Image{Ref: repo + "@" + digest, Digest: digest, Processes: plan.Processes, Size: size}}, nil
}

// wishes are what the descriptors of the source ask for.
func wishes(ctx context.Context, r build.Request) (stead.Wishes, error) {
	dir, err := os.MkdirTemp("", "stead-source")
	if err != nil {
		return stead.Wishes{}, fmt.Errorf("make directory for source: %w", err)
	}
	defer os.RemoveAll(dir)
	rc, err := r.Archive()
	if err != nil {
		return stead.Wishes{}, fmt.Errorf("open source: %w", err)
	}
	defer rc.Close()
	if err := source.Unpack(ctx, rc, dir, source.Limits{Bytes: r.Limits.Source, Files: r.Limits.Files}); err != nil {
		return stead.Wishes{}, err
	}
	app, err := descriptor.Read(os.DirFS(dir))
	if err != nil {
		return stead.Wishes{}, err
	}
	return app.Wishes, nil
}

func ready(ref string, out func(string)) (build.Result, error) {
	if ref == "" || strings.HasPrefix(ref, "-") || len(ref) > 512 {
		return build.Result{}, stead.Invalid("image", fmt.Sprintf("%.80q is no image reference", ref), "write NAME:TAG or NAME@sha256:…")
	}
	out("-----> Ready image " + ref)
	sum := sha256.Sum256([]byte(ref))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	repo, at, ok := strings.Cut(ref, "@")
	if ok {
		digest = at
	}
	procs := map[string]stead.Command{stead.ProcessWeb: nil}
	return build.Result{Plan: build.Plan{Pack: "image", Summary: "ready image", Processes: procs},
		Image: stead.Image{Ref: repo + "@" + digest, Digest: digest, Processes: procs}}, nil
}

// read goes through the whole archive, once, within the request's limits.
func read(ctx context.Context, r build.Request) (t tree, sum []byte, size int64, err error) {
	rc, err := r.Archive()
	if err != nil {
		return tree{}, nil, 0, fmt.Errorf("open source: %w", err)
	}
	defer rc.Close()
	h := sha256.New()
	in := &counted{ctx: ctx, r: io.TeeReader(rc, h)}
	gz, err := gzip.NewReader(in)
	if err != nil {
		return tree{}, nil, 0, broken(ctx, err)
	}
	limit, files := r.Limits.Source, r.Limits.Files
	if limit <= 0 {
		limit = maxSource
	}
	if files <= 0 {
		files = maxFiles
	}
	plain := &io.LimitedReader{R: gz, N: limit + int64(files)*1024}
	if t, err = entries(tar.NewReader(plain), files); err == nil {
		_, err = io.Copy(io.Discard, plain)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(in, limit))
	}
	switch {
	case plain.N <= 0:
		return tree{}, nil, 0, &stead.Error{Kind: stead.KindLimit, Field: "source", Msg: fmt.Sprintf("the source is larger than %d MiB unpacked", limit>>20),
			Hint: "leave out what is not needed for the build with a .steadignore"}
	case err != nil:
		return tree{}, nil, 0, broken(ctx, err)
	}
	return t, h.Sum(nil), in.n, nil
}

func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*stead.Error](err); ok {
		return err
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: "source", Msg: "the source is not a whole tar.gz archive", Hint: "push again", Err: err}
}

func entries(tr *tar.Reader, max int) (tree, error) {
	t := tree{files: map[string]bool{}}
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return tree{}, err
		}
		if n >= max {
			return tree{}, &stead.Error{Kind: stead.KindLimit, Field: "source", Msg: fmt.Sprintf("the source has more than %d files", max),
				Hint: "leave out what is not needed for the build with a .steadignore"}
		}
		name := path.Clean(h.Name)
		if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
			return tree{}, stead.Invalid("source", fmt.Sprintf("the source holds a file outside of its tree: %.80q", h.Name), "make the archive of the tree alone")
		}
		if h.Typeflag != tar.TypeReg || strings.Contains(name, "/") {
			continue
		}
		if t.files[name] = true; name == "Procfile" {
			var b bytes.Buffer
			if _, err := io.Copy(&b, io.LimitReader(tr, maxRead+1)); err != nil {
				return tree{}, err
			}
			t.procfile = b.Bytes()
		}
	}
}

// counted ends with its context and counts what it gave.
type counted struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (c *counted) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
