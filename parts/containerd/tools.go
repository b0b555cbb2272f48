//go:build tools

// Package containerd pins the containerd daemon that a Stead release ships; its
// runc shim is in shim. The module is its own, so that Stead's stays light.
package containerd

import _ "github.com/containerd/containerd/v2/cmd/containerd"
