// Package static serves a tree of files. The server is a small Go program that
// the build compiles once.
package static

import (
	_ "embed"
	"io/fs"
	"path"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/golang"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

//go:embed server/main.go
var server []byte

// Pack is the pack "static".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "static" }

// Detect implements plan.Pack: index.html at the root, or where site
// generators put it.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	for _, dir := range []string{".", "public", "dist", "build", "_site", "site", "out"} {
		if !plan.Has(tree, path.Join(dir, "index.html")) {
			continue
		}
		summary := "static files"
		if dir != "." {
			summary += " in " + dir
		}
		return &plan.Detected{Pack: "static", Summary: summary, Processes: map[string]stead.Command{"web": {Server, Dir}},
			LLB: func(in plan.Inputs) (plan.Output, error) { return build(in, path.Join("/", dir)) }}, nil
	}
	return nil, nil
}

// Where the server and what it serves are in the image.
const (
	Server = "/opt/stead/serve"
	Dir    = "/app"
)

func build(in plan.Inputs, dir string) (plan.Output, error) {
	bin, err := Program(in)
	if err != nil {
		return plan.Output{}, err
	}
	st := plan.Copy(in.Run, bin, "/", path.Dir(Server), "copy the file server")
	st = plan.CopyApp(st, in.Source, dir, Dir, "copy the files", ".git", ".gitignore", ".steadignore", "Procfile")
	return plan.Output{State: st, Config: plan.Image([]string{path.Dir(Server)})}, nil
}

// Program compiles the server, as /serve.
func Program(in plan.Inputs) (llb.State, error) {
	src := llb.Scratch().File(llb.Mkfile("/go.mod", 0o644, []byte("module serve\n\ngo 1.26\n")).
		Mkfile("/main.go", 0o644, server), llb.WithCustomName("file server"))
	in.BuildEnv, in.CacheScope = nil, "stead-static" // it is the same for all apps
	return golang.Build(in, src, golang.Default, ".")
}
