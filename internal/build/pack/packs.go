package pack

import (
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/dockerfile"
	"github.com/steadpaas/stead/internal/build/pack/binary"
	"github.com/steadpaas/stead/internal/build/pack/dotnet"
	"github.com/steadpaas/stead/internal/build/pack/elixir"
	"github.com/steadpaas/stead/internal/build/pack/golang"
	"github.com/steadpaas/stead/internal/build/pack/java"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/php"
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

func onlyRelease(procs map[string]stead.Command) bool {
	_, ok := procs[stead.ProcessRelease]
	return ok && len(procs) == 1
}
