package buildkit

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/ignore"
	"github.com/steadpaas/stead/internal/build/source"
)

// tarball packs a directory as the CLI does.
func tarball(t *testing.T, dir string) func() (io.ReadCloser, error) {
	t.Helper()
	var b bytes.Buffer
	if err := source.Pack(t.Context(), &b, dir, ignore.New(os.DirFS(dir))); err != nil {
		t.Fatal(err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
}

// Every example becomes an image that answers; a second push with one line
// changed is timed by stage. Then each language fetches a package from a mirror.
func TestExamples(t *testing.T) {
	files, wheelSum := packages(t)
	m := withMirror(t, files)
	began := time.Now()
	if err := m.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("base images ready after %.1fs", time.Since(began).Seconds())
	const examples = "../../../examples"
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "dotnet" { // its SDK is not to be had from Debian: see testMirrors
			continue
		}
		dir := filepath.Join(examples, e.Name())
		t.Run(e.Name(), func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			app := stead.NewID(time.Now())
			for _, what := range []string{"cold", "unchanged", "changed"} {
				if what == "changed" {
					touch(t, copied)
				}
				req, _ := request(t, app, nil)
				req.Archive = tarball(t, copied)
				began := time.Now()
				res, err := m.Build(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if what == "changed" {
					requested(t, m, res)
				}
				t.Logf("%-9s %5.2fs %v, %s, %.1f MiB, %v", what, time.Since(began).Seconds(), res.Stages, res.Plan.Pack, float64(res.Image.Size)/(1<<20), res.Plan.Processes)
			}
		})
	}
	t.Run("mirrors", func(t *testing.T) { testMirrors(t, m, files, wheelSum) })
}

// touch adds a line to the first source file that can bear one.
func touch(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"main.go", "cmd/web/main.go", "server.js", "index.js", "app.py", "config.ru", "src/Greeting.php", "src/main/java/hello/Main.java",
		"src/main.rs", "lib/hello/server.ex", "src/main.js", "index.html", "Dockerfile"} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		defer f.Close()
		if _, err := io.WriteString(f, "\n"); err != nil {
			t.Fatal(err)
		}
		return
	}
}
