package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestApp is where the test program lies in its image.
const TestApp = "/testapp"

const testAppPackage = "github.com/steadpaas/stead/internal/engine/enginetest/testapp"

// BuildTestApp builds the test program, static, into dir and returns its path.
// The Go toolchain must be there, and the working directory in this module.
func BuildTestApp(ctx context.Context, dir string) (string, error) {
	out := filepath.Join(dir, "testapp")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, testAppPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the test program: %w: %s", err, b)
	}
	return out, nil
}

// TestImage packs a program as an image of one layer, without a base: TestApp,
// /tmp, and a minimal /etc. Its command is TestApp.
func TestImage(program string) (v1.Image, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read the test program: %w", err)
	}
	var b bytes.Buffer
	if err := pack(tar.NewWriter(&b), data); err != nil {
		return nil, fmt.Errorf("pack the test program: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("make the test image: %w", err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("make the test image: %w", err)
	}
	return mutate.ConfigFile(img, configured(img))
}

func configured(img v1.Image) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		c = &v1.ConfigFile{}
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", runtime.GOARCH
	c.Config.Cmd, c.Config.WorkingDir = []string{TestApp}, "/"
	c.Config.Env = []string{"PATH=/", "FROM_IMAGE=yes"}
	return c
}

func pack(tw *tar.Writer, program []byte) error {
	for _, e := range []struct {
		name string
		mode int64
		data []byte
	}{
		{"etc/", 0o755, nil}, {"tmp/", 0o1777, nil}, {"proc/", 0o755, nil}, {"sys/", 0o755, nil}, {"dev/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/testapp\n")}, {"etc/group", 0o644, []byte("root:x:0:\n")},
		{"testapp", 0o755, program},
	} {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), Typeflag: tar.TypeReg}
		if e.data == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := tw.Write(e.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

// PushTestImage pushes the image to host, in plain HTTP, as repository, and
// returns "repository@sha256:…", the form of Workload.Image.
func PushTestImage(ctx context.Context, host, repository string, img v1.Image, opts ...remote.Option) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("push the test image: %w", err)
	}
	ref, err := name.NewDigest(host+"/"+repository+"@"+digest.String(), name.Insecure)
	if err != nil {
		return "", fmt.Errorf("push the test image: %w", err)
	}
	if err := remote.Write(ref, img, append(opts, remote.WithContext(ctx))...); err != nil {
		return "", fmt.Errorf("push the test image: %w", err)
	}
	return repository + "@" + digest.String(), nil
}
