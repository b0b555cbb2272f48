// Command steadd is the platform: the control plane (steadd serve), the data
// plane (steadd router), and what an operator needs around them.
package main

import (
	"os"

	"github.com/steadpaas/stead/internal/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:], os.Stdout, os.Stderr)) }
