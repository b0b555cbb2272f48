//go:build part

// Package traefik pins the Traefik that the benchmark compares with.
package traefik

import _ "github.com/traefik/traefik/v3/cmd/traefik"
