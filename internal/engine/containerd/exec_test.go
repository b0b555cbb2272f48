package containerd

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/steadpaas/stead/internal/engine"
)

// deaf is a client that is gone.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestFirstSize(t *testing.T) {
	told := make(chan engine.Window, 1)
	told <- engine.Window{Cols: 120, Rows: 40}
	closed := make(chan engine.Window)
	close(closed)
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx        context.Context
		s          engine.Streams
		cols, rows uint
	}{
		"told":           {t.Context(), engine.Streams{Stdout: io.Discard, Resize: told}, 120, 40},
		"never told":     {t.Context(), engine.Streams{Stdout: io.Discard, Resize: make(chan engine.Window)}, 0, 0},
		"no terminal":    {t.Context(), engine.Streams{Stdout: io.Discard}, 0, 0},
		"closed":         {t.Context(), engine.Streams{Stdout: io.Discard, Resize: closed}, 0, 0},
		"client is gone": {t.Context(), engine.Streams{Stdout: deaf{}, Resize: make(chan engine.Window)}, 0, 0},
		"context ended":  {ended, engine.Streams{Stdout: io.Discard, Resize: make(chan engine.Window)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			box := firstSize(c.ctx, c.s)
			if (box == nil) != (c.cols == 0) {
				t.Fatalf("size %v", box)
			}
			if box != nil && (box.Width != c.cols || box.Height != c.rows) {
				t.Errorf("size %v, want %d × %d", box, c.cols, c.rows)
			}
		})
	}
}
