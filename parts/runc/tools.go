//go:build tools

// Package runc pins the OCI runtime that a Stead release ships.
package runc

import _ "github.com/opencontainers/runc"
