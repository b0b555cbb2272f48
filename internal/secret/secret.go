// Package secret seals values at rest: AES-256-GCM under a data key, the data
// key under a master key kept in a file of mode 0600 (envelope encryption).
package secret

// KeyRing seals and opens values.
type KeyRing struct{}
