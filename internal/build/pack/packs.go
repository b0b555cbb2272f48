package pack

import (
	"io/fs"
	"maps"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/dockerfile"
	"github.com/steadpaas/stead/internal/build/pack/binary"
	"github.com/steadpaas/stead/internal/build/pack/dotnet"
	"github.com/steadpaas/stead/internal/build/pack/elixir"
	"github.com/steadpaas/stead/internal/build/pack/golang"
	"github.com/steadpaas/stead/internal/build/pack/java"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/php"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"github.com/steadpaas/stead/internal/build/pack/python"
	"github.com/steadpaas/stead/internal/build/pack/ruby"
	"github.com/steadpaas/stead/internal/build/pack/rust"
	"github.com/steadpaas/stead/internal/build/pack/static"
)

// packs are tried in order: what the author wrote for the purpose first, what
// any tree may have by accident last.
func packs() []Pack {
	return []Pack{dockerfile.Pack{}, golang.Pack{}, ruby.Pack{}, elixir.Pack{}, php.Pack{}, java.Pack{}, dotnet.Pack{}, rust.Pack{},
		python.Pack{}, node.Pack{}, binary.Pack{}, static.Pack{}}
}

func procfile(tree fs.FS) (map[string]stead.Command, error) {
	data, ok, err := plan.ReadFile(tree, "Procfile")
	if err != nil || !ok {
		return nil, err
	}
	return stead.ParseProcfile(data)
}

// withProcfile gives the plan the Procfile's processes, and the image the web
// process as its own command. A Procfile that has nothing to run but a release
// phase leaves the pack's processes.
func withProcfile(d *Detected, procs map[string]stead.Command) *Detected {
	if onlyRelease(procs) {
		maps.Copy(d.Processes, procs)
	} else if len(procs) > 0 {
		d.Processes = procs
	}
	if d.LLB == nil {
		return d
	}
	build, web := d.LLB, d.Processes["web"]
	d.LLB = func(in Inputs) (Output, error) {
		out, err := build(in)
		if err == nil && web != nil {
			out.Config.Cmd = web
		}
		return out, err
	}
	return d
}

func onlyRelease(procs map[string]stead.Command) bool {
	_, ok := procs[stead.ProcessRelease]
	return ok && len(procs) == 1
}
