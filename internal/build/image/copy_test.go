package image

import (
	"testing"

	"github.com/steadpaas/stead"
)

func TestRemotesAreRefusedUnlessAllowed(t *testing.T) {
	for ref, kind := range map[string]stead.Kind{
		"nginx":                     stead.KindForbidden,
		"evil.example.com/x:latest": stead.KindForbidden,
		"UPPER/CASE::":              stead.KindInvalid,
		"allowed.invalid/x":         stead.KindUnavailable,
	} {
		if _, err := (Remotes{"allowed.invalid"}).Fetch(t.Context(), ref); stead.KindOf(err) != kind {
			t.Errorf("%s: %v (%s), want %s", ref, err, stead.KindOf(err), kind)
		}
	}
	// "*" is no way to the host's own services.
	if _, err := (Remotes{"*"}).Fetch(t.Context(), "127.0.0.1:1/x"); stead.KindOf(err) != stead.KindUnavailable {
		t.Errorf("a loopback registry: %v", err)
	}
}

func TestPublicOnly(t *testing.T) {
	for address, ok := range map[string]bool{"8.8.8.8:443": true, "10.0.0.1:443": false, "127.0.0.1:80": false, "169.254.169.254:80": false,
		"[::1]:80": false, "[::ffff:10.0.0.1]:80": false, "100.64.1.1:80": false, "[fe80::1]:80": false} {
		if got := publicOnly(address) == nil; got != ok {
			t.Errorf("%s: %v, want %v", address, got, ok)
		}
	}
}
