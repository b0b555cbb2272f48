//go:build tools

// Package buildkit pins the build daemon that a Stead release ships.
package buildkit

import _ "github.com/moby/buildkit/cmd/buildkitd"
