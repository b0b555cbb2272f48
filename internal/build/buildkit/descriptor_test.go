package buildkit

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack"
)

// token is a config value that only its hash is in the tree of.
const (
	token = "s3cret-of-the-app"
	proof = `test $(printf %s $TOKEN | sha256sum | cut -c1-16) = 2a70ffb61403211d`
)

// contents are the small files that an image's own layers hold, by path, and
// all bytes of its layers but the base's, its configuration and its manifest.
func contents(t *testing.T, m *machine, res build.Result) (files map[string]string, all []byte) {
	t.Helper()
	img, err := m.cfg.Registry.Pull(t.Context(), res.Image.Ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []func() ([]byte, error){img.RawManifest, img.RawConfigFile} {
		data, err := raw()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, l := range layers[1:] {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for in := tar.NewReader(r); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			all = append(append(all, h.Name...), data...)
			if files[strings.TrimPrefix(h.Name, "./")] = ""; len(data) < 1000 {
				files[strings.TrimPrefix(h.Name, "./")] = string(data)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return files, all
}

// What stead.toml asks of a build is done, by a pack and by a Dockerfile, and
// the app's config is in the steps' environment and nowhere else.
func TestDescriptorsAreCarriedOut(t *testing.T) {
	m := openWithRegistry(t, nil)
	m.detect = pack.Detect
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]string // files of the image; "-": not there
	}{
		"pack": {map[string]string{"server": string(program), "Procfile": "web: ./server", "stead.toml": `[build]
packages = ["tree"]
before = ["` + proof + `; test \"$MODE\" = release; test \"$(ionice -p $$)\" = \"best-effort: prio 7\"; echo made > made.txt"]
after = ["tree --version > /dev/null; ` + proof + `; cat made.txt > after.txt"]
env = { MODE = "release" }
`}, map[string]string{"app/made.txt": "made\n", "app/after.txt": "made\n", "usr/bin/tree": ""}},
		"dockerfile": {map[string]string{"hidden.txt": "x", ".dockerignore": "hidden.txt\n", "stead.toml": `[build]
dockerfile = "deploy/Dockerfile"
target = "final"
args = { MODE = "release" }
`, "deploy/Dockerfile": `FROM stead/debian-12-build AS make
ARG MODE
RUN --mount=type=secret,id=TOKEN,env=TOKEN ` + proof + ` && echo "$MODE" > /made
FROM stead/debian-12 AS final
COPY --from=make /made /made
COPY . /app
FROM stead/debian-12
RUN false
`}, map[string]string{"made": "release\n", "app/hidden.txt": "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			req, out := request(t, stead.NewID(time.Now()), c.files)
			req.Config = stead.Config{"TOKEN": token}
			res, err := m.Build(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			got, all := contents(t, m, res)
			for file, want := range c.want {
				text, ok := got[file]
				switch {
				case want == "-" && ok:
					t.Errorf("%s is in the image", file)
				case want != "-" && (!ok || want != "" && text != want):
					t.Errorf("%s: %q, want %q", file, text, want)
				}
			}
			if bytes.Contains(all, []byte(token)) || strings.Contains(out.String(), token) {
				t.Error("the secret is in a layer, the configuration or the output")
			}
		})
	}
}
