package enginetest

import (
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

func TestImagePush(t *testing.T) {
	bin, err := BuildTestApp(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "echo", "a", "b").Output(); err != nil || string(out) != "a b\n" {
		t.Fatalf("%q, %v", out, err)
	}
	img, err := TestImage(bin)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(registry.New())
	defer srv.Close()
	ref, err := PushTestImage(t.Context(), strings.TrimPrefix(srv.URL, "http://"), "apps/testapp", img)
	if err != nil || !strings.HasPrefix(ref, "apps/testapp@sha256:") {
		t.Fatalf("%q, %v", ref, err)
	}
}
