package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const forwardFile = "/proc/sys/net/ipv4/ip_forward"

// openBridge makes the bridge, or completes the one that is there.
func (n *Network) openBridge() error {
	link, err := netlink.LinkByName(n.bridge())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = n.bridge(), hardware(n.Gateway())
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		link, err = netlink.LinkByName(n.bridge())
	}
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	for key, value := range map[string]string{"ipv6/conf/%s/disable_ipv6": "1", "ipv4/conf/%s/rp_filter": "1"} {
		file := "/proc/sys/net/" + fmt.Sprintf(key, n.bridge())
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set %s: %w", file, err)
		}
	}
	if err := n.setGateway(link); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// setGateway gives the bridge its address and takes any other away.
func (n *Network) setGateway(link netlink.Link) error {
	want := ipnet(n.Gateway(), n.state.Subnet.Bits())
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if a.IPNet.String() == want.String() {
			return nil
		}
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove address: %w", err)
		}
	}
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: want})
}

func (n *Network) removeBridge() error {
	link, err := netlink.LinkByName(n.bridge())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

func (n *Network) enableForwarding() error {
	now, err := os.ReadFile(forwardFile)
	if err != nil {
		return fmt.Errorf("read ip_forward: %w", err)
	}
	if strings.TrimSpace(string(now)) == "1" {
		return nil
	}
	n.state.Forward = strings.TrimSpace(string(now))
	if err := os.WriteFile(forwardFile, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("enable ip_forward: %w", err)
	}
	return nil
}

// restoreForwarding puts ip_forward back, unless it was on before us or
// another platform's bridge still needs it.
func (n *Network) restoreForwarding() {
	if n.state.Forward == "" {
		return
	}
	links, _ := os.ReadDir("/sys/class/net")
	for _, l := range links {
		if strings.HasPrefix(l.Name(), "stead-") {
			return
		}
	}
	if err := os.WriteFile(forwardFile, []byte(n.state.Forward), 0o644); err != nil {
		n.log.Warn("ip_forward not restored", "error", err)
	}
}

// build makes a slot's namespaces and joins them to the bridge.
func (n *Network) build(ctx context.Context, slot int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.demolish(slot)
	if err := n.pin(slot); err != nil {
		return fmt.Errorf("pin namespaces: %w", err)
	}
	ns, err := os.Open(n.nsPath(slot, "net"))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := n.addVeth(slot, int(ns.Fd())); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	return within(ns, func() error { return n.configure(slot) })
}

func (n *Network) addVeth(slot, ns int) error {
	bridge, err := netlink.LinkByName(n.bridge())
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex, attrs.MTU = n.link(slot), bridge.Attrs().Index, hostMTU()
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns),
		PeerHardwareAddr: hardware(n.address(slot)), PeerMTU: uint32(attrs.MTU)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add: %w", err)
	}
	link, err := netlink.LinkByName(n.link(slot))
	if err != nil {
		return err
	}
	if err := netlink.LinkSetIsolated(link, true); err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	if err := n.nail(slot, link, bridge); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+n.link(slot)+"/disable_ipv6", []byte("1"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return netlink.LinkSetUp(link)
}

// nail binds the address to its port for good: the bridge learns nothing from
// an endpoint, so none can draw another's traffic to itself, and a reused
// address never meets a stale neighbour entry.
func (n *Network) nail(slot int, link, bridge netlink.Link) error {
	if err := netlink.LinkSetLearning(link, false); err != nil {
		return fmt.Errorf("stop learning: %w", err)
	}
	mac := hardware(n.address(slot))
	if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_MASTER,
		State: netlink.NUD_NOARP, HardwareAddr: mac}); err != nil {
		return fmt.Errorf("set forwarding entry: %w", err)
	}
	if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: bridge.Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: n.address(slot).AsSlice(), HardwareAddr: mac}); err != nil {
		return fmt.Errorf("set neighbour: %w", err)
	}
	return nil
}

// configure runs inside the slot's network namespace.
func (n *Network) configure(slot int) error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("disable ipv6: %w", err)
	}
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if name == "eth0" {
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipnet(n.address(slot), n.state.Subnet.Bits())}); err != nil {
				return fmt.Errorf("add address: %w", err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	if err := netlink.RouteAdd(&netlink.Route{Gw: n.Gateway().AsSlice()}); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	return nil
}

// demolish takes a slot's link and namespaces away, as far as they are there.
func (n *Network) demolish(slot int) {
	if bridge, err := netlink.LinkByName(n.bridge()); err == nil && n.state.Subnet.IsValid() {
		_ = netlink.NeighDel(&netlink.Neigh{LinkIndex: bridge.Attrs().Index, IP: n.address(slot).AsSlice()})
	}
	if link, err := netlink.LinkByName(n.link(slot)); err == nil {
		if err := netlink.LinkDel(link); err != nil {
			n.log.Warn("link not removed", "link", n.link(slot), "error", err)
		}
	}
	n.unpin(slot)
}

// hostMTU returns the smallest MTU of the links with a default route, so that
// packets need not be fragmented on their way out.
func hostMTU() int {
	mtu := 1500
	routes, _ := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_DST)
	for _, r := range routes {
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil && l.Attrs().MTU < mtu && l.Attrs().MTU >= 576 {
			mtu = l.Attrs().MTU
		}
	}
	return mtu
}

// hardware derives the MAC from the address: locally administered, and the
// same whenever the address is used again.
func hardware(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0x5d, b[0], b[1], b[2], b[3]}
}

func ipnet(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}
}
