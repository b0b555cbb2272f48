// Package egress makes the requests that the platform itself sends to addresses
// which users name: log drains, webhooks. Such an address must not become a way
// into the machine, to the metadata service or to other apps' instances, so
// each connection is checked at the moment it is made, by the address that the
// name has come to. A redirect or a name that changes meanwhile gains nothing.
package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/steadpaas/stead"
)

// Guard decides which addresses may be called.
type Guard struct {
	Allow []netip.Prefix             // may be called although they are refused by the rules below
	Deny  []netip.Prefix             // the instances' networks
	Local func() ([]net.Addr, error) // the machine's own addresses; nil: net.InterfaceAddrs
}

// Check refuses what is, or leads to, this machine: loopback, link-local (the
// metadata service among them), multicast, unspecified, its own addresses and
// the instances' networks.
func (g Guard) Check(a netip.Addr) error {
	a = a.Unmap()
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(g.Allow, contains) {
		return nil
	}
	if a.IsGlobalUnicast() && !a.Is4In6() && !slices.ContainsFunc(g.Deny, contains) && !translated(a) {
		mine, err := g.mine(a)
		if err != nil {
			return err
		}
		if !mine {
			return nil
		}
	}
	return &stead.Error{Kind: stead.KindForbidden, Msg: "the platform does not call " + a.String() + ": it belongs to this machine or to what runs on it",
		Hint: "name a host outside; an operator can allow addresses with the setting egress-allow"}
}

// translated reports whether an IPv6 address carries an IPv4 one that a gateway
// would take out of it (RFC 6052, 6to4 of RFC 3056, Teredo of RFC 4380).
func translated(a netip.Addr) bool {
	return slices.ContainsFunc([]string{"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"},
		func(p string) bool { return netip.MustParsePrefix(p).Contains(a) })
}

func (g Guard) mine(a netip.Addr) (bool, error) {
	local := g.Local
	if local == nil {
		local = net.InterfaceAddrs
	}
	addrs, err := local()
	if err != nil {
		return false, err
	}
	for _, l := range addrs {
		if n, ok := l.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == a {
				return true, nil
			}
		}
	}
	return false, nil
}

// dialLimit bounds the making of a connection.
const dialLimit = 10 * time.Second

// Dialer returns a dialer that refuses what Check refuses.
func (g Guard) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialLimit, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return g.Check(ap.Addr())
	}}
}

// Client returns an HTTP client whose connections the guard checks. It uses no
// proxy and follows no redirect: what was named is what is called.
func (g Guard) Client(limit time.Duration) *http.Client {
	return &http.Client{
		Timeout: limit,
		Transport: &http.Transport{DialContext: g.Dialer().DialContext, TLSHandshakeTimeout: dialLimit, IdleConnTimeout: time.Minute,
			MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Reason says in a sentence why a call failed.
func Reason(err error) string {
	if e, ok := errors.AsType[*stead.Error](err); ok {
		return e.Msg
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name " + e.Name + " is not known"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "no answer in time"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
