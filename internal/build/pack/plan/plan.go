// Package plan is what language packs are made of: what a pack is asked, what
// it answers, and the small steps that packs share.
//
// A pack looks at a tree and says how to make it an image. It runs nothing: its
// answer is a graph for the build daemon, or a frontend that makes one. Names
// that come from the tree reach a build step as an argument or an environment
// variable, never as part of a script.
package plan

import (
	"io/fs"

	"github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
)

// Pack knows one way to make an image of a tree.
type Pack interface {
	// Name is the pack's word in the API: "go", "node", …
	Name() string

	// Marks are the files by which the pack knows a tree, for the message that
	// none was found.
	Marks() []string

	// Detect tells how to build the tree; nil, nil when it is not this pack's.
	// The tree is hostile. Errors are stead.Errors that say what is wrong with
	// a tree that is this pack's.
	Detect(tree fs.FS) (*Detected, error)
}

// Detected is what a pack found, and how it would build it.
type Detected struct {
	Pack      string                   // Pack.Name
	Summary   string                   // one line for the pusher
	Processes map[string]stead.Command // nil command: the image's own
	Notes     []string                 // what was seen and not honoured, and why
	With      []string                 // packs whose tools it uses too: "node" for assets
	Wishes    stead.Wishes             // of the descriptors; not the packs' business
	Findings  []stead.Finding          // likewise

	// LLB plans the image; nil when Frontend is set.
	LLB func(Inputs) (Output, error)

	Frontend     string            // FrontendDockerfile, or ""
	FrontendOpts map[string]string // for the frontend, such as "filename"
}

// FrontendDockerfile is the build daemon's own Dockerfile frontend.
const FrontendDockerfile = "dockerfile.v0"

// Inputs are what a plan starts from.
type Inputs struct {
	Source     llb.State     // the tree, at /
	Run        llb.State     // base image of what runs: user app (uid 1000), /app
	Build      llb.State     // Run with compilers, git, curl, python3, …
	CacheScope string        // prefix for the names of cache mounts
	Mirrors    build.Mirrors // where packages come from; see Mirror and Mirrored
	Platform   ocispecs.Platform
	BuildEnv   stead.Config // only its names are used: build steps get the values as secrets
}

// Output is a planned image: its file system and how to run it.
type Output struct {
	State  llb.State
	Config ocispecs.ImageConfig
}

// Names of mirrors in Inputs.Mirrors; package build has all of them.
const (
	MirrorNPM  = build.MirrorNPM
	MirrorGo   = build.MirrorGo
	MirrorPyPI = build.MirrorPyPI
	MirrorApt  = build.MirrorApt
)
