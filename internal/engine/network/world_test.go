package network

import (
	"os"
	"testing"

	"github.com/vishvananda/netlink"
)

type world struct{ public, private, metadata string }

// newWorld joins a namespace to the host by a veth pair of its own and lets a
// public, a private and the metadata address answer in it. It stands behind a
// second network, whose endpoint it borrows only for the pinned namespace.
func newWorld(t *testing.T) world {
	t.Helper()
	w := world{"203.0.113.254", "10.255.254.10", "169.254.169.254"}
	other := open(t, Config{})
	e := attach(t, other, "world", Options{})
	ns, err := os.Open(e.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	name := "w" + other.cfg.ID
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "up", PeerNamespace: netlink.NsFd(int(ns.Fd()))}))
	link, err := netlink.LinkByName(name)
	must(t, err)
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	host, _ := netlink.ParseAddr("203.0.113.253/32")
	must(t, netlink.AddrAdd(link, host))
	must(t, netlink.LinkSetUp(link))
	must(t, within(ns, func() error { return raise(w) }))
	for _, a := range []string{w.public, w.private, w.metadata} {
		dst, _ := netlink.ParseIPNet(a + "/32")
		must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK, Src: host.IP}))
		serve(t, &e, a+":80")
	}
	return w
}

func raise(w world) error {
	up, err := netlink.LinkByName("up")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(up); err != nil {
		return err
	}
	for _, a := range []string{w.public, w.private, w.metadata} {
		addr, _ := netlink.ParseAddr(a + "/32")
		if err := netlink.AddrAdd(up, addr); err != nil {
			return err
		}
	}
	dst, _ := netlink.ParseIPNet("203.0.113.253/32")
	return netlink.RouteAdd(&netlink.Route{LinkIndex: up.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
