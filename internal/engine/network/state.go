package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"golang.org/x/sys/unix"
)

// state is what must outlive the process. It need not outlive a power loss:
// the namespaces do not either.
type state struct {
	Subnet  netip.Prefix `json:"subnet"`
	Next    int          `json:"next"`    // where the search for a free slot begins
	Forward string       `json:"forward"` // ip_forward as it was, if Open switched it on
	Slots   map[int]slot `json:"slots"`   // by the address's offset in the subnet
}

type slot struct {
	Name    string  `json:"name"` // empty: prepared
	Ready   bool    `json:"ready"`
	Options Options `json:"options"`
}

// adopt reads the state and forgets the slots whose namespaces are gone.
func (n *Network) adopt() error {
	n.state.Slots = map[int]slot{}
	data, err := os.ReadFile(n.path("state.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read network state: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &n.state); err != nil {
			return fmt.Errorf("read network state: %w", err)
		}
	}
	for s, is := range maps.Clone(n.state.Slots) {
		if !is.Ready || !n.alive(s) {
			n.demolish(s)
			delete(n.state.Slots, s)
		}
	}
	n.sweep()
	if len(n.state.Slots) > 0 && n.state.Subnet.IsValid() {
		return nil
	}
	return n.chooseSubnet()
}

// sweep takes apart what an earlier process made and did not live to record.
func (n *Network) sweep() {
	files, _ := os.ReadDir(n.path("ns"))
	links, _ := os.ReadDir("/sys/class/net")
	stray := map[int]bool{}
	for _, f := range files {
		if s, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(f.Name(), ".net"), ".user")); err == nil {
			stray[s] = true
		}
	}
	for _, l := range links {
		if tail, ours := strings.CutPrefix(l.Name(), n.link(0)[:len(n.link(0))-1]); ours {
			if s, err := strconv.ParseInt(tail, 16, 32); err == nil {
				stray[int(s)] = true
			}
		}
	}
	for s := range stray {
		if _, known := n.state.Slots[s]; !known {
			n.demolish(s)
		}
	}
}

// alive reports whether a slot's namespaces are still pinned and linked.
func (n *Network) alive(s int) bool {
	for _, kind := range []string{"user", "net"} {
		var st unix.Statfs_t
		if unix.Statfs(n.nsPath(s, kind), &st) != nil || st.Type != unix.NSFS_MAGIC {
			return false
		}
	}
	_, err := os.Stat("/sys/class/net/" + n.link(s))
	return err == nil
}

func (n *Network) save() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	data, err := json.Marshal(n.state)
	if err != nil {
		return fmt.Errorf("save network state: %w", err)
	}
	tmp := n.path("state.json.tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("save network state: %w", err)
	}
	return os.Rename(tmp, n.path("state.json"))
}

// claim gives the slot of that name: its own, a prepared one, or a fresh one
// that has yet to be built.
func (n *Network) claim(name string, o Options) (s int, fresh bool, err error) {
	if s, ok := n.lookup(name); ok {
		return s, false, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, is := range n.state.Slots {
		if is.Name == "" && is.Ready {
			n.state.Slots[s] = slot{Name: name, Ready: true, Options: o}
			return s, false, nil
		}
	}
	s, err = n.free()
	if err == nil {
		n.state.Slots[s] = slot{Name: name, Ready: true, Options: o}
	}
	return s, true, err
}

func (n *Network) reserve() (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.free()
	if err == nil {
		n.state.Slots[s] = slot{}
	}
	return s, err
}

// free finds the next free slot, going round, so that an address is used again
// as late as can be. Slot 0 is the network, 1 the gateway, the last the broadcast.
func (n *Network) free() (int, error) {
	size := 1 << (32 - n.state.Subnet.Bits())
	for i := range size {
		s := (n.state.Next + i) % size
		if _, used := n.state.Slots[s]; used || s < 2 || s == size-1 {
			continue
		}
		n.state.Next = s + 1
		return s, nil
	}
	return 0, &stead.Error{Kind: stead.KindLimit, Msg: "no address is free in " + n.state.Subnet.String(),
		Hint: "stop some instances, or give the platform a larger subnet"}
}

func (n *Network) ready(s int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	is := n.state.Slots[s]
	is.Ready = true
	n.state.Slots[s] = is
}

func (n *Network) spare() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, is := range n.state.Slots {
		if is.Name == "" {
			count++
		}
	}
	return count
}

func (n *Network) lookup(name string) (int, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, is := range n.state.Slots {
		if is.Name == name && name != "" {
			return s, true
		}
	}
	return 0, false
}

// discard takes a slot apart and frees its address last.
func (n *Network) discard(s int) {
	n.mu.Lock()
	is := n.state.Slots[s]
	n.mu.Unlock()
	if err := n.forbid(s, is.Options); err != nil {
		n.log.Warn("endpoint rules not removed", "slot", s, "error", err)
	}
	n.demolish(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.state.Slots, s)
}
