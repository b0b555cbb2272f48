package fake

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
)

var _ build.Builder = Builder{}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for name, text := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(tw, text)
	}
	_, _ = tw.Close(), gz.Close()
	return b.Bytes()
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		limit build.Limits
		pack  string
		ref   string // part of it
		kind  stead.Kind
	}{
		{name: "go", files: map[string]string{"go.mod": "module x", "Procfile": "web: ./x\nworker: ./w"}, pack: "go", ref: "apps/a1@sha256:"},
		{name: "boot", files: map[string]string{"index.html": "", "fail-boot": ""}, pack: "static", ref: "fail-boot@sha256:"},
		{name: "fails", files: map[string]string{"fail-build": ""}, kind: stead.KindInvalid},
		{name: "bad Procfile", files: map[string]string{"Procfile": "nonsense"}, kind: stead.KindInvalid},
		{name: "outside", files: map[string]string{"../x": ""}, kind: stead.KindInvalid},
		{name: "bomb", files: map[string]string{"x": strings.Repeat("0", 4<<20)}, limit: build.Limits{Source: 1 << 20, Files: 10}, kind: stead.KindLimit},
		{name: "many", files: map[string]string{"x": "", "y": "", "z": ""}, limit: build.Limits{Files: 2}, kind: stead.KindLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := archive(t, tt.files)
			r := build.Request{App: "a1", AppName: "a", Limits: tt.limit, Source: stead.Source{Kind: stead.SourceArchive},
				Archive: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
			got, err := New().Build(t.Context(), r)
			if (err != nil) != (tt.kind != 0) || err != nil && stead.KindOf(err) != tt.kind {
				t.Fatalf("error %v, want kind %v", err, tt.kind)
			}
			if got.Plan.Pack != tt.pack && err == nil || !strings.Contains(got.Image.Ref, tt.ref) {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

func TestBrokenArchive(t *testing.T) {
	r := build.Request{Archive: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("no gzip")), nil }}
	if _, err := New().Build(t.Context(), r); stead.KindOf(err) != stead.KindInvalid {
		t.Fatal(err)
	}
}

func TestDetect(t *testing.T) {
	p, err := New().Detect(t.Context(), fstest.MapFS{"package.json": {}, "Procfile": {Data: []byte("web: node .")}})
	if err != nil || p.Pack != "node" || len(p.Processes) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
}
