package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// entry is a file of a hostile archive.
type entry struct {
	name string
	link string // target of a symbolic link
	hard bool
	size int64 // of zeros
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: e.size, Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
			if e.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, e.size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestHostileSources uploads archives that try to leave their folder or to
// fill the disk. Each is refused with a reason or builds harmlessly, nothing
// appears outside, and the platform goes on.
func TestHostileSources(t *testing.T) {
	t.Run("fake", func(t *testing.T) { hostileSources(t, start(t, "fake")) })
	t.Run("containerd", func(t *testing.T) {
		needRealEngine(t)
		hostileSources(t, start(t, "containerd"))
	})
}

func hostileSources(t *testing.T, p *platform) {
	p.must(t, p.dir, "create", "hostile", "--no-remote")
	target := filepath.Join(p.dir, "escaped")
	many := make([]entry, 0, 120_000)
	for n := range cap(many) {
		many = append(many, entry{name: fmt.Sprintf("f%d", n)})
	}
	for name, data := range map[string][]byte{
		"dot dot":           archive(t, entry{name: "../../../../../../" + target, size: 3}),
		"absolute":          archive(t, entry{name: target, size: 3}),
		"through a symlink": archive(t, entry{name: "out", link: p.dir}, entry{name: "out/escaped", size: 3}),
		"hard link out":     archive(t, entry{name: "passwd", link: "/etc/passwd", hard: true}),
		"bomb":              archive(t, entry{name: "zeros", size: 1 << 30}),
		"too many files":    archive(t, many...),
		"deep":              archive(t, entry{name: strings.Repeat("d/", 2000) + "f"}),
		"not an archive":    []byte("#!/bin/sh\necho hello\n"),
		"cut off":           archive(t, entry{name: "a", size: 1 << 20})[:200],
		"empty":             nil,
	} {
		t.Run(name, func(t *testing.T) { hostile(t, p, data) })
	}
	if _, err := os.Lstat(target); err == nil {
		t.Errorf("%s was made by an archive", target)
	}
	p.answers(t)
}

// hostile uploads an archive with the plain protocol, pushes what is accepted,
// and requires that an error has a reason.
func hostile(t *testing.T, p *platform, data []byte) {
	began := time.Now()
	req, err := http.NewRequest(http.MethodPost, p.api+"/v1/apps/hostile/sources", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s after %v: %.200s", resp.Status, time.Since(began).Round(time.Millisecond), body)
	if resp.StatusCode >= 500 {
		t.Errorf("the platform took the blame: %s", resp.Status)
	}
	if resp.StatusCode != http.StatusCreated {
		if !strings.Contains(string(body), "detail") {
			t.Errorf("no reason is given: %s", body)
		}
		return
	}
	built(t, p, body)
}

// built pushes an uploaded source and waits for its build to end; one that
// failed has to say why.
func built(t *testing.T, p *platform, source []byte) {
	var src stead.Source
	if err := json.Unmarshal(source, &src); err != nil {
		t.Fatal(err)
	}
	c := client.New(p.api, p.token)
	b, err := c.Push(t.Context(), "hostile", src)
	if err != nil {
		t.Logf("the push is refused: %v", err)
		return
	}
	until(t, 2*time.Minute, "the build has ended", func() bool {
		if b, err = c.Build(t.Context(), "hostile", b.Number); err != nil {
			t.Fatal(err)
		}
		return b.FinishedAt != nil
	})
	t.Logf("build %s: %s", b.State, b.Reason)
	if b.State == stead.BuildFailed && b.Reason == "" {
		t.Error("the build failed without a reason")
	}
}
