package containerd

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/steadpaas/stead"
)

// A platform below a closed directory must not start, and can be removed all
// the same: Open works, Run says what to do.
func TestClosedWay(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // made with mode 0700
	e, err := Open(t.Context(), Config{ID: "way", Dir: filepath.Join(dir, "d"), RunDir: filepath.Join(dir, "r")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); stead.KindOf(err) != stead.KindPrecondition {
		t.Errorf("Run below a closed directory: %v", err)
	}
}
