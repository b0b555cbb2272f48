// Package build is the seam between the platform and what turns sources into
// images: Source in, Image out, nothing else.
package build

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/steadpaas/stead"
)

// Builder turns a source tree into an image in the platform's registry. It is
// safe for concurrent use. Errors that the pusher can act on are stead.Errors;
// their message is the build's reason.
type Builder interface {
	// Detect tells what the tree is, without building. The tree is hostile.
	Detect(ctx context.Context, tree fs.FS) (Plan, error)

	// Build makes the image. Lines of output go to req.Output as they come. It
	// ends when ctx does. A second Build of the same request makes the same
	// image again; nothing half-done is left either way.
	Build(ctx context.Context, req Request) (Result, error)
}

// Collector is an optional ability of a builder: to keep its caches and the
// registry within their budgets. Images in keep (references) are never removed.
type Collector interface {
	Collect(ctx context.Context, keep []string) (freed int64, err error)
}

// Plan is what Detect found.
type Plan struct {
	Pack      string                   // "go", "node", "python", "static", "dockerfile", "image", "binary"
	Summary   string                   // for the pusher: "Go 1.26.1 (go.mod), main package ./cmd/web"
	Processes map[string]stead.Command // from the Procfile, else the pack's default; nil command: the image's own
	Notes     []string                 // what was seen and not honoured, and why
	Wishes    stead.Wishes             // what the source's descriptors ask for
	Findings  []stead.Finding          // each thing that they say
}

// Request is one build.
type Request struct {
	ID      stead.ID // of the build; names whatever is temporary
	App     stead.ID // caches and the repository belong to it
	AppName string
	Org     stead.ID
	Source  stead.Source
	Archive func() (io.ReadCloser, error) // the tar.gz of a SourceArchive
	Config  stead.Config                  // given to build steps as secrets, never in layers
	Limits  Limits
	Output  func(line string)
}

// Limits caps one build.
type Limits struct {
	Memory int64 // bytes
	CPU    int   // thousandths of a core
	PIDs   int64
	Source int64 // bytes of the unpacked tree
	Files  int   // entries of the tree
	Time   time.Duration
}

// Result is what a build made.
type Result struct {
	Plan   Plan
	Image  stead.Image
	Stages []stead.Stage
}
