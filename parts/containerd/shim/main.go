// Command containerd-shim-runc-v2 is containerd's runc shim, with three ways to
// be quick that change nothing for who uses it by containerd: a shim that waits
// for its container (wait.go), a start without a process for it (start.go), and
// one that follows the making at once (task.go); and with an environment that
// is not kept with the container (env.go).
//
//	containerd-shim-runc-v2 … -wait DIR    waits in DIR for a container to serve
//
// All else is as in containerd.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	runc "github.com/containerd/go-runc"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
)

func main() {
	if n := len(os.Args); n >= 3 && os.Args[n-2] == "-wait" {
		if err := wait(os.Args[n-1]); err != nil {
			fmt.Fprintln(os.Stderr, "wait:", err)
			os.Exit(1)
		}
	}
	registry.Register(&plugin.Registration{
		Type: plugins.TTRPCPlugin, ID: "task",
		Requires: []plugin.Type{plugins.EventPlugin, plugins.InternalPlugin},
		InitFn:   newTask,
	})
	shim.RunShim(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}

// newTask is containerd's task service, quicker by atOnce and starter.
func newTask(ic *plugin.InitContext) (any, error) {
	events, err := ic.GetByID(plugins.EventPlugin, "publisher")
	if err != nil {
		return nil, err
	}
	down, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
	if err != nil {
		return nil, err
	}
	service, err := task.NewTaskService(ic.Context, events.(shim.Publisher), down.(shutdown.Service))
	if err != nil {
		return nil, err
	}
	runc.Monitor = starter{runc.Monitor} // the service has set it to its reaper
	return &atOnce{TTRPCTaskService: service, started: map[string]uint32{}}, nil
}
