package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/steadpaas/stead/internal/supervise"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// DefaultUIDBase is the host's id of root inside the sandbox. It is not the
// one that instances have, so that a file of the one is never the other's.
const DefaultUIDBase = 2_000_000

const uidCount = 65536

// ownNamespaces makes sure that the sandbox's user and network namespaces are
// pinned, and that the endpoint's link is in them. The sandbox has a pair of its
// own, since build steps need what an instance must not have: more than one
// group (setgroups), and ids apart from every instance's.
func (c Config) ownNamespaces(ctx context.Context) error {
	link, err := c.takeLink()
	if err != nil {
		return err
	}
	if link == nil && c.pinned() {
		return nil
	}
	if link == nil {
		return errors.New("the network endpoint has lost its link; detach it and attach it again")
	}
	defer link.close()
	if err := supervise.Stop(ctx, c.Dir, daemonName, 10*time.Second); err != nil {
		return err
	}
	if err := c.unpin(); err != nil {
		return err
	}
	if err := c.pin(); err != nil {
		return fmt.Errorf("pin namespaces: %w", err)
	}
	return link.moveTo(c.path("ns", "net"))
}

// pinned reports whether both namespaces are there.
func (c Config) pinned() bool {
	for _, kind := range []string{"user", "net"} {
		var st unix.Statfs_t
		if unix.Statfs(c.path("ns", kind), &st) != nil || st.Type != unix.NSFS_MAGIC {
			return false
		}
	}
	return true
}

// pin makes the namespaces in a process that is stopped before its first
// instruction, binds them to files, and ends it. The user namespace is owned by
// the host's root.
func (c Config) pin() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: c.UIDBase, Size: uidCount}}
	p, err := os.StartProcess("/proc/self/exe", []string{"stead-namespace"}, &os.ProcAttr{Env: []string{}, Files: []*os.File{nil, nil, nil},
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, Unshareflags: unix.CLONE_NEWNET, Ptrace: true, Pdeathsig: unix.SIGKILL,
			UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true}})
	if err != nil {
		return err
	}
	defer func() {
		_ = p.Kill()
		_, _ = p.Wait()
	}()
	for _, kind := range []string{"user", "net"} {
		if err := os.WriteFile(c.path("ns", kind), nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", p.Pid, kind), c.path("ns", kind), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) unpin() error {
	for _, kind := range []string{"net", "user"} {
		for unix.Unmount(c.path("ns", kind), unix.MNT_DETACH) == nil {
			continue
		}
		if err := os.Remove(c.path("ns", kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// link is the endpoint's network link, still where the network put it.
type link struct {
	handle *netlink.Handle
	link   netlink.Link
	addrs  []netlink.Addr
	routes []netlink.Route
}

// takeLink finds the endpoint's link in its own namespace; nil: it was taken before.
func (c Config) takeLink() (*link, error) {
	ns, err := netns.GetFromPath(c.NetNS)
	if err != nil {
		return nil, fmt.Errorf("open network endpoint: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("open network endpoint: %w", err)
	}
	l := &link{handle: h}
	if l.link, err = h.LinkByName("eth0"); errors.As(err, &netlink.LinkNotFoundError{}) {
		h.Close()
		return nil, nil
	}
	if err == nil {
		l.addrs, err = h.AddrList(l.link, netlink.FAMILY_V4)
	}
	if err == nil {
		l.routes, err = h.RouteList(l.link, netlink.FAMILY_V4)
	}
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("read network endpoint: %w", err)
	}
	return l, nil
}

func (l *link) close() { l.handle.Close() }

// moveTo moves the link, and gives it back the addresses and routes that it
// loses on the way.
func (l *link) moveTo(path string) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer h.Close()
	if err := l.handle.LinkSetNsFd(l.link, int(ns)); err != nil {
		return fmt.Errorf("move link: %w", err)
	}
	for _, name := range []string{"lo", "eth0"} {
		at, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find link %s: %w", name, err)
		}
		if err := l.configure(h, at, name == "eth0"); err != nil {
			return fmt.Errorf("configure link %s: %w", name, err)
		}
	}
	return nil
}

func (l *link) configure(h *netlink.Handle, at netlink.Link, addresses bool) error {
	if addresses {
		for _, a := range l.addrs {
			if err := h.AddrAdd(at, &netlink.Addr{IPNet: a.IPNet}); err != nil {
				return err
			}
		}
	}
	if err := h.LinkSetUp(at); err != nil {
		return err
	}
	for _, r := range l.routes {
		if !addresses || r.Gw == nil {
			continue
		}
		route := netlink.Route{LinkIndex: at.Attrs().Index, Gw: r.Gw, Dst: r.Dst}
		if route.Dst == nil {
			route.Dst = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		}
		if err := h.RouteAdd(&route); err != nil {
			return err
		}
	}
	return nil
}
