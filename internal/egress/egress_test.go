package egress

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

func TestCheck(t *testing.T) {
	g := Guard{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Deny:  []netip.Prefix{netip.MustParsePrefix("10.210.0.0/20")},
		Local: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.7"), Mask: net.CIDRMask(24, 32)}}, nil
		},
	}
	for a, ok := range map[string]bool{
		"198.51.100.1": true, "10.1.2.3": true, "2001:db8::1": true, "127.0.0.2": true, "192.0.2.8": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "169.254.169.254": false, "fe80::1": false,
		"10.210.3.4": false, "192.0.2.7": false, "::ffff:127.0.0.1": false, "::ffff:10.210.1.1": false, "224.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "255.255.255.255": false,
	} {
		if err := g.Check(netip.MustParseAddr(a)); (err == nil) != ok {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// TestClient checks that the guard stands before each connection, and that no
// redirect leads past it.
func TestClient(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	defer inside.Close()
	_, err := Guard{}.Client(time.Second).Get(inside.URL)
	if stead.KindOf(err) != stead.KindForbidden {
		t.Errorf("loopback: %v", err)
	}
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	g := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	resp, err := g.Client(time.Second).Get(outside.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("redirect followed: %s", resp.Status)
	}
}
