package stack

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/steadpaas/stead/internal/build/image"
)

func testStore(t *testing.T, cache string) Store {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return Store{Registry: image.Registry{Host: strings.TrimPrefix(s.URL, "http://")}, CacheDir: cache,
		Say: func(l string) { t.Log(l) }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// The run image is made from packages once; a second platform takes it from
// the cache, and the same registry is asked only.
func TestRunImageFromNothingThenFromCache(t *testing.T) {
	_, err := exec.LookPath("mmdebstrap")
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root and mmdebstrap")
		}
		t.Skip("needs root and mmdebstrap")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cache := os.Getenv("STEAD_TEST_STACKS") // kept between runs by who sets it
	if cache == "" {
		cache = t.TempDir()
	}
	first := testStore(t, cache)
	began := time.Now()
	ref, err := first.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("made in %v: %s", time.Since(began), ref)
	again, err := first.Run(ctx)
	if err != nil || again != ref {
		t.Fatalf("again: %s, %v; want %s", again, err, ref)
	}
	began = time.Now()
	second, err := testStore(t, cache).Run(ctx)
	if err != nil || second != ref {
		t.Fatalf("from the cache: %s, %v; want %s", second, err, ref)
	}
	t.Logf("from the cache in %v", time.Since(began))
	img, err := first.Registry.Pull(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	size, err := image.Size(img)
	if err != nil || size < 10<<20 || size > 120<<20 {
		t.Errorf("the run image has %d compressed bytes, %v", size, err)
	}
	t.Logf("compressed size %d MiB", size>>20)
}
