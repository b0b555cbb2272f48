package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultSubnets are /20 ranges (4093 endpoints) of parts of 10.0.0.0/8 and
// 172.16.0.0/12 that are seldom used.
func defaultSubnets() []netip.Prefix {
	var out []netip.Prefix
	for _, net := range [][2]byte{{10, 213}, {10, 217}, {10, 89}, {172, 29}, {10, 141}} {
		for third := 0; third < 256; third += 16 {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{net[0], net[1], byte(third), 0}), 20))
		}
	}
	return out
}

// chooseSubnet keeps the remembered subnet if it is still clear of what the
// host knows, or takes the first candidate that is.
func (n *Network) chooseSubnet() error {
	taken, err := n.takenRanges()
	if err != nil {
		return err
	}
	candidates := n.cfg.Subnets
	if len(candidates) == 0 {
		candidates = defaultSubnets()
	}
	if old := n.state.Subnet; old.IsValid() {
		candidates = append([]netip.Prefix{old}, candidates...)
	}
	for _, c := range candidates {
		c = c.Masked()
		usable := c.Addr().Is4() && c.Bits() >= 16 && c.Bits() <= 26
		if usable && !slices.ContainsFunc(taken, c.Overlaps) {
			if c != n.state.Subnet {
				n.state.Subnet, n.state.Next = c, 2
			}
			return nil
		}
	}
	return &stead.Error{Kind: stead.KindConflict, Msg: "every candidate for the instances' subnet overlaps a route of this host",
		Hint: "name a free IPv4 subnet, /16 to /26, in the platform's settings"}
}

// takenRanges returns the host's routes (but default ones), addresses and
// resolvers, without what belongs to this network's own bridge.
func (n *Network) takenRanges() ([]netip.Prefix, error) {
	own := -1
	if l, err := netlink.LinkByName(n.bridge()); err == nil {
		own = l.Attrs().Index
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil || r.LinkIndex == own {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		if ok && ones > 0 {
			taken = append(taken, netip.PrefixFrom(ip, ones))
		}
	}
	for _, r := range n.resolvers {
		taken = append(taken, netip.PrefixFrom(r, 32))
	}
	return taken, nil
}

func offset(p netip.Prefix, by int) netip.Addr {
	a := p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(by))
	return netip.AddrFrom4(a)
}

// lockMachine keeps two platforms from choosing the same subnet at once.
func lockMachine(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile("/run/stead-network.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the machine's networks: %w", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
	return func() { f.Close() }, nil
}

// hostResolvers returns the IPv4 name servers that an endpoint can use: the
// host's, but not those on its loopback. A host whose only resolver is local
// (systemd-resolved) keeps the real ones in a file of their own.
func hostResolvers() []netip.Addr {
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		if found := readResolvers(file); len(found) > 0 {
			return found
		}
	}
	return []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("8.8.8.8")}
}

func readResolvers(file string) []netip.Addr {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []netip.Addr
	for s := bufio.NewScanner(f); s.Scan() && len(out) < 3; {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil && a.Is4() && !a.IsLoopback() {
			out = append(out, a)
		}
	}
	return out
}
