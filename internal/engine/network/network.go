// Package network gives workloads a network of their own on one machine: one
// bridge for a platform, whose ports cannot see each other, behind packet
// filter rules that let nothing through but what was asked for.
//
// An endpoint is a user namespace and a network namespace, pinned together
// and owned by the host's root, joined to the bridge by a veth pair. It can
// reach, at most: public IPv4 addresses and the host's resolvers (with
// Options.Internet) and some TCP ports of the bridge's address
// (Options.HostPorts). It cannot reach other endpoints, the host, private
// ranges, link-local and metadata addresses, or anything by IPv6. The host can
// reach every endpoint.
package network

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/steadpaas/stead"
)

// Config says how a platform's network is made.
type Config struct {
	ID       string         // of the platform, 1–6 of [a-z0-9]; names its bridge, links and rules
	Subnets  []netip.Prefix // candidates, each /26 to /16; empty: sensible defaults
	StateDir string         // where the namespaces are pinned and the addresses remembered
	UIDBase  uint32         // the host's id of root inside; 0: DefaultUIDBase
	Allow    []netip.Prefix // private ranges that endpoints with Internet may reach all the same
}

// Ids inside an endpoint's user namespace: 0 to UIDCount-1, which are UIDBase
// and above on the host.
const (
	DefaultUIDBase = 1_000_000
	UIDCount       = 65536
)

// Options says what an endpoint may reach.
type Options struct {
	Internet  bool     // public addresses, and the host's resolvers
	HostPorts []uint16 // TCP ports of Gateway
}

// Endpoint is an attached place for a workload.
type Endpoint struct {
	Name          string
	Address       netip.Addr
	UserNS, NetNS string       // paths by which the namespaces are joined
	Resolvers     []netip.Addr // the name servers to use
}

// Network is a platform's network. It is safe for concurrent use.
type Network struct {
	cfg       Config
	log       *slog.Logger
	resolvers []netip.Addr

	mu    sync.Mutex // guards state; never held during slow work
	state state
	rules sync.Mutex // orders changes of the packet filter
}

var idGrammar = regexp.MustCompile(`^[a-z0-9]{1,6}$`)

// Open makes the network, or adopts it with its endpoints if it is there. It
// needs root. Namespaces that did not outlive a reboot are forgotten.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Network, error) {
	if !idGrammar.MatchString(cfg.ID) {
		return nil, stead.Invalid("id", "the platform's id is not 1 to 6 of a-z and 0-9", "choose an id such as \"main\"")
	}
	if cfg.UIDBase == 0 {
		cfg.UIDBase = DefaultUIDBase
	}
	n := &Network{cfg: cfg, log: log, resolvers: hostResolvers()}
	if err := os.MkdirAll(n.path("ns"), 0o711); err != nil {
		return nil, fmt.Errorf("make network directory: %w", err)
	}
	unlock, err := lockMachine(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := n.adopt(); err != nil {
		return nil, err
	}
	if err := n.openBridge(); err != nil {
		return nil, fmt.Errorf("open bridge %s: %w", n.bridge(), err)
	}
	if err := n.enableForwarding(); err != nil {
		return nil, err
	}
	if err := n.writeRules(); err != nil {
		return nil, fmt.Errorf("write packet filter rules: %w", err)
	}
	n.log.Info("network open", "bridge", n.bridge(), "subnet", n.state.Subnet.String(), "endpoints", len(n.state.Slots))
	return n, n.save()
}

// Gateway returns the host's address on the bridge.
func (n *Network) Gateway() netip.Addr { return n.address(1) }

// Subnet returns the range of the endpoints' addresses.
func (n *Network) Subnet() netip.Prefix { return n.state.Subnet }

// UIDBase returns the host's id of root inside the endpoints.
func (n *Network) UIDBase() uint32 { return n.cfg.UIDBase }

// Attach makes the endpoint of that name. If there is one, it is given anew,
// with the new options. It fails with stead.KindLimit when no address is free.
func (n *Network) Attach(ctx context.Context, name string, o Options) (Endpoint, error) {
	slot, fresh, err := n.claim(name, o)
	if err != nil {
		return Endpoint{}, err
	}
	if fresh {
		if err := n.build(ctx, slot); err != nil {
			n.discard(slot)
			return Endpoint{}, fmt.Errorf("attach %s: %w", name, err)
		}
	}
	if err := n.allow(slot, o); err != nil {
		n.discard(slot)
		return Endpoint{}, fmt.Errorf("allow %s: %w", name, err)
	}
	if err := n.save(); err != nil {
		return Endpoint{}, err
	}
	return n.endpoint(name, slot), nil
}

// Prepare makes sure that count endpoints wait without a name, so that Attach
// is quick. Those that have the fewest to wait for are made first.
func (n *Network) Prepare(ctx context.Context, count int) error {
	if n.spare() >= count {
		return nil
	}
	for n.spare() < count && ctx.Err() == nil {
		slot, err := n.reserve()
		if err != nil {
			return err
		}
		if err := n.build(ctx, slot); err != nil {
			n.discard(slot)
			return fmt.Errorf("prepare endpoint: %w", err)
		}
		n.ready(slot)
	}
	return n.save()
}

// Detach removes an endpoint. One that is not there is no error.
func (n *Network) Detach(ctx context.Context, name string) error {
	slot, ok := n.lookup(name)
	if !ok {
		return nil
	}
	n.discard(slot)
	return n.save()
}

// Names returns the names of the endpoints, sorted.
func (n *Network) Names() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, s := range n.state.Slots {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Remove takes the network away: endpoints, bridge and rules. Forwarding of
// packets goes back to what it was if Open switched it on.
func (n *Network) Remove(ctx context.Context) error {
	n.mu.Lock()
	var slots []int
	for slot := range n.state.Slots {
		slots = append(slots, slot)
	}
	n.mu.Unlock()
	for _, slot := range slots {
		n.discard(slot)
	}
	if err := n.removeRules(); err != nil {
		return fmt.Errorf("remove packet filter rules: %w", err)
	}
	if err := n.removeBridge(); err != nil {
		return fmt.Errorf("remove bridge %s: %w", n.bridge(), err)
	}
	n.restoreForwarding()
	return os.RemoveAll(n.cfg.StateDir)
}

func (n *Network) endpoint(name string, slot int) Endpoint {
	return Endpoint{Name: name, Address: n.address(slot), Resolvers: slices.Clone(n.resolvers),
		UserNS: n.nsPath(slot, "user"), NetNS: n.nsPath(slot, "net")}
}

func (n *Network) path(parts ...string) string {
	return filepath.Join(append([]string{n.cfg.StateDir}, parts...)...)
}

func (n *Network) nsPath(slot int, kind string) string {
	return n.path("ns", fmt.Sprintf("%d.%s", slot, kind))
}

func (n *Network) bridge() string              { return "stead-" + n.cfg.ID }
func (n *Network) link(slot int) string        { return fmt.Sprintf("st%s-%x", n.cfg.ID, slot) }
func (n *Network) table() string               { return "stead_" + n.cfg.ID }
func (n *Network) address(slot int) netip.Addr { return offset(n.state.Subnet, slot) }
