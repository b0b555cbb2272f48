//go:build tools

// Package containerd pins the containerd daemon and its runc shim that a Stead
// release ships. The module is its own, so that Stead's stays light.
package containerd

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
)
