package network

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// refused are the ranges that are not the public internet (RFC 6890), the
// metadata address among them.
func refused() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// ruleset is the platform's table while it is written.
//
//	input:       from the bridge → answers, allowed host ports, resolvers on the host; nothing else
//	forward:     between endpoints: never; to endpoints: answers only
//	             from endpoints: answers, DNS and public addresses if they have the internet
//	postrouting: what leaves through another link than the bridge is masqueraded
type ruleset struct {
	*nftables.Conn
	table              *nftables.Table
	bridge             string
	internet, hostPort *nftables.Set
}

// open returns the table and its sets by name, to change their elements.
func (n *Network) openRules() (*ruleset, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: n.table()}
	return &ruleset{Conn: c, table: t, bridge: n.bridge(),
		internet: &nftables.Set{Table: t, Name: "internet", KeyType: nftables.TypeIPAddr},
		hostPort: &nftables.Set{Table: t, Name: "hostports", Concatenation: true,
			KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)}}, nil
}

// writeRules replaces the whole table in one transaction.
func (n *Network) writeRules() error {
	n.rules.Lock()
	defer n.rules.Unlock()
	r, err := n.openRules()
	if err != nil {
		return err
	}
	r.AddTable(r.table)
	r.DelTable(r.table)
	r.AddTable(r.table)
	internet, ports := n.elements()
	if err := errors.Join(r.AddSet(r.internet, internet), r.AddSet(r.hostPort, ports)); err != nil {
		return err
	}
	r.input(n)
	r.forward(n)
	r.masquerade(n)
	return r.Flush()
}

func (n *Network) removeRules() error {
	n.rules.Lock()
	defer n.rules.Unlock()
	r, err := n.openRules()
	if err != nil {
		return err
	}
	r.AddTable(r.table)
	r.DelTable(r.table)
	return r.Flush()
}

func (n *Network) elements() (internet, ports []nftables.SetElement) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, is := range n.state.Slots {
		i, p := n.slotElements(s, is.Options)
		internet, ports = append(internet, i...), append(ports, p...)
	}
	return internet, ports
}

func (n *Network) slotElements(s int, o Options) (internet, ports []nftables.SetElement) {
	ip := n.address(s).AsSlice()
	if o.Internet {
		internet = append(internet, nftables.SetElement{Key: ip})
	}
	for _, p := range o.HostPorts {
		key := append(append([]byte{}, ip...), byte(p>>8), byte(p), 0, 0) // each part fills 4 bytes
		ports = append(ports, nftables.SetElement{Key: key})
	}
	return internet, ports
}

// allow makes the options of a slot hold, and no others.
func (n *Network) allow(s int, o Options) error {
	n.mu.Lock()
	is := n.state.Slots[s]
	old := is.Options
	is.Options = o
	n.state.Slots[s] = is
	n.mu.Unlock()
	if len(old.HostPorts) > 0 || old.Internet {
		return n.writeRules()
	}
	return n.change(s, o, (*nftables.Conn).SetAddElements)
}

// forbid takes a slot's permissions away. Elements that are not there make the
// kernel refuse the whole change, so the table is written anew then.
func (n *Network) forbid(s int, o Options) error {
	n.mu.Lock()
	if is, ok := n.state.Slots[s]; ok {
		is.Options = Options{}
		n.state.Slots[s] = is
	}
	n.mu.Unlock()
	if err := n.change(s, o, (*nftables.Conn).SetDeleteElements); err != nil {
		return n.writeRules()
	}
	return nil
}

func (n *Network) change(s int, o Options, do func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) error {
	internet, ports := n.slotElements(s, o)
	if len(internet)+len(ports) == 0 {
		return nil
	}
	n.rules.Lock()
	defer n.rules.Unlock()
	r, err := n.openRules()
	if err != nil {
		return err
	}
	if len(internet) > 0 {
		err = do(r.Conn, r.internet, internet)
	}
	if len(ports) > 0 {
		err = errors.Join(err, do(r.Conn, r.hostPort, ports))
	}
	return errors.Join(err, r.Flush())
}

func (r *ruleset) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, prio nftables.ChainPriority) *nftables.Chain {
	return r.AddChain(&nftables.Chain{Table: r.table, Name: name, Type: kind, Hooknum: hook, Priority: &prio})
}

func (r *ruleset) rule(c *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	r.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: all})
}

func (r *ruleset) input(n *Network) {
	c := r.chain("input", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter-10)
	r.rule(c, iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, r.bridge), verdict(expr.VerdictAccept))
	r.rule(c, established(), verdict(expr.VerdictAccept))
	r.rule(c, destination(netip.PrefixFrom(n.Gateway(), 32)), protocol(unix.IPPROTO_TCP), sourceAndPort(r.hostPort), verdict(expr.VerdictAccept))
	r.dns(c, n)
	r.rule(c, counted(), verdict(expr.VerdictDrop))
}

func (r *ruleset) forward(n *Network) {
	c := r.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter-10)
	in, out := iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, r.bridge), iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.bridge)
	r.rule(c, in, out, counted(), verdict(expr.VerdictDrop))
	r.rule(c, out, established(), verdict(expr.VerdictAccept))
	r.rule(c, out, counted(), verdict(expr.VerdictDrop))
	r.rule(c, iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, r.bridge), verdict(expr.VerdictAccept))
	r.rule(c, ipv6(), counted(), verdict(expr.VerdictDrop))
	r.dns(c, n)
	for _, p := range n.cfg.Allow {
		r.rule(c, destination(p), source(r.internet), verdict(expr.VerdictAccept))
	}
	for _, p := range refused() {
		r.rule(c, destination(p), counted(), verdict(expr.VerdictDrop))
	}
	r.rule(c, source(r.internet), verdict(expr.VerdictAccept))
	r.rule(c, counted(), verdict(expr.VerdictDrop))
}

func (r *ruleset) dns(c *nftables.Chain, n *Network) {
	for _, a := range n.resolvers {
		for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			r.rule(c, destination(netip.PrefixFrom(a, 32)), protocol(proto), port(53), source(r.internet), verdict(expr.VerdictAccept))
		}
	}
}

func (r *ruleset) masquerade(n *Network) {
	c := r.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource)
	r.rule(c, iface(expr.MetaKeyOIFNAME, expr.CmpOpNeq, r.bridge), ipv4(), match(12, n.state.Subnet), []expr.Any{&expr.Masq{}})
}

func iface(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: data}}
}

func family(proto byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}}}
}

func ipv4() []expr.Any { return family(unix.NFPROTO_IPV4) }

// ipv6 matches whatever is not IPv4.
func ipv6() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{unix.NFPROTO_IPV4}}}
}

// match compares the address at that offset of the IPv4 header.
func match(at uint32, p netip.Prefix) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()}}
}

func destination(p netip.Prefix) []expr.Any { return append(ipv4(), match(16, p)...) }

func source(s *nftables.Set) []expr.Any {
	return append(ipv4(), &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID})
}

// sourceAndPort looks up source address and destination port together; the
// parts of a concatenation stand in neighbouring 4-byte registers.
func sourceAndPort(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Payload{DestRegister: 9, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

func protocol(p byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p}}}
}

func port(p uint16) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, p)}}
}

func established() []expr.Any {
	bits := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	return []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: bits, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

func counted() []expr.Any { return []expr.Any{&expr.Counter{}} }

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }
