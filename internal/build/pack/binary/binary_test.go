package binary

import (
	"strings"
	"testing"
	"testing/fstest"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// program returns the head of an ELF file for a machine.
func elfFile(machine byte) *fstest.MapFile {
	h := make([]byte, 64)
	copy(h, "\x7fELF\x02\x01\x01")
	h[16], h[18] = 2, machine
	return &fstest.MapFile{Data: h, Mode: 0o755}
}

func TestDetect(t *testing.T) {
	d, err := Pack{}.Detect(fstest.MapFS{"server": elfFile(62), "README": {Data: []byte("x")}})
	if err != nil || d == nil || d.Summary != "Linux executable server (amd64)" || d.Processes["web"][0] != "/app/server" {
		t.Fatal(d, err)
	}
	for _, tree := range []fstest.MapFS{{"a": {Data: []byte("\x7fELF"), Mode: 0o755}}, {"a": {Data: elfFile(62).Data, Mode: 0o644}}, {"-rf": elfFile(62)}, {}} {
		if d, err := (Pack{}).Detect(tree); d != nil || err != nil {
			t.Error(d, err)
		}
	}
	if _, err := (Pack{}).Detect(fstest.MapFS{"a": elfFile(62), "bin/b": elfFile(62)}); err == nil || !strings.Contains(err.Error(), "several executables") {
		t.Error(err)
	}
}

func TestWrongArchitecture(t *testing.T) {
	d, err := Pack{}.Detect(fstest.MapFS{"server": elfFile(183)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.LLB(plan.Inputs{Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}})
	if stead.KindOf(err) != stead.KindInvalid || !strings.Contains(err.Error(), "for arm64") {
		t.Fatal(err)
	}
}
