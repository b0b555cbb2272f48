package buildkit

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack"
)

func archive(t *testing.T, files map[string]string) func() (io.ReadCloser, error) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
}

// lines collects a build's output.
type lines struct {
	t  *testing.T
	mu sync.Mutex
	s  []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s = append(l.s, s)
	l.t.Log("| " + s)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.s, "\n")
}

func request(t *testing.T, app stead.ID, files map[string]string) (build.Request, *lines) {
	out := &lines{t: t}
	return build.Request{ID: stead.NewID(time.Now()), App: app, AppName: "hello", Org: "0190a000-0000-7000-8000-00000000000a",
		Source: stead.Source{Kind: stead.SourceArchive}, Archive: archive(t, files), Output: out.add}, out
}

// script plans an image by one shell step in the build image: what it writes
// to /out becomes /app.
func script(text string, secrets ...string) func(fs.FS) (*pack.Detected, error) {
	plan := func(in pack.Inputs) (pack.Output, error) {
		opts := []llb.RunOption{llb.Args([]string{"/bin/sh", "-c", text}), llb.Dir("/src"), llb.WithCustomName("run the script"),
			llb.AddMount("/src", in.Source, llb.Readonly), llb.AddMount("/cache", llb.Scratch(), llb.AsPersistentCacheDir(in.CacheScope+"/test", llb.CacheMountShared))}
		for _, s := range secrets {
			opts = append(opts, llb.AddSecretWithDest(s, nil, llb.SecretID(s), llb.SecretAsEnv(true), llb.SecretAsEnvName(s)))
		}
		out := in.Build.Run(opts...).AddMount("/out", llb.Scratch())
		return pack.Output{State: in.Run.File(llb.Copy(out, "/", "/app/", &llb.CopyInfo{CopyDirContentsOnly: true}), llb.WithCustomName("put the image together")),
			Config: ocispecs.ImageConfig{User: "app", WorkingDir: "/app", Cmd: []string{"/app/hello"}}}, nil
	}
	return func(fs.FS) (*pack.Detected, error) {
		return &pack.Detected{Pack: "script", Summary: "a script", Processes: map[string]stead.Command{"web": nil}, LLB: plan}, nil
	}
}

const helloC = "#include <stdio.h>\nint main(void) { puts(\"hello %s\"); return 0; }\n"

func TestSourceBecomesAnImage(t *testing.T) {
	m := openWithRegistry(t, nil)
	began := time.Now()
	if _, err := m.Stacks(t.Context(), func(l string) { t.Log(l) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("stacks in %.1fs", time.Since(began).Seconds())
	m.detect = script("set -e; cat hello.c; gcc -o /out/hello hello.c; date > /cache/when")
	app := stead.NewID(time.Now())
	for i, text := range []string{"cold", "warm", "warm"} {
		req, out := request(t, app, map[string]string{"hello.c": fmt.Sprintf(helloC, text)})
		began := time.Now()
		res, err := m.Build(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("build %d: %.2fs %+v size %d", i, time.Since(began).Seconds(), res.Stages, res.Image.Size)
		if !strings.HasPrefix(res.Image.Ref, "apps/"+string(app)+"@sha256:") || res.Image.Size == 0 {
			t.Errorf("image %+v", res.Image)
		}
		if !strings.Contains(out.String(), "→ run the script") {
			t.Errorf("output does not name the step:\n%s", out)
		}
	}
}
