// Command stead is the developer's tool: push an app, get a URL, logs, scaling,
// rollback.
package main

import (
	"os"

	"github.com/steadpaas/stead/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
