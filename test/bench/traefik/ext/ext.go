// Package ext stands in for a module that Traefik keeps in its own tree and
// publishes nowhere: the two empty structs that others may extend.
package ext

// HTTP extends Traefik's configuration of HTTP; empty.
type HTTP struct{}

// Router extends its configuration of a router; empty.
type Router struct{}
