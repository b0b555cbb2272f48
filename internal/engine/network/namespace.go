package network

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// pin makes a user namespace and, owned by it, a network namespace, and binds
// both to files. The maker is a process that is stopped before its first
// instruction: the namespaces belong to the host's root, so that the runtime
// keeps the right to set resource limits when it joins them.
func (n *Network) pin(slot int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(n.cfg.UIDBase), Size: UIDCount}}
	p, err := os.StartProcess("/proc/self/exe", []string{"stead-namespace"}, &os.ProcAttr{
		Env: []string{}, Files: []*os.File{nil, nil, nil},
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, Unshareflags: unix.CLONE_NEWNET, Ptrace: true,
			UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Pdeathsig: unix.SIGKILL}})
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() {
		_ = p.Kill()
		_, _ = p.Wait()
	}()
	for _, kind := range []string{"user", "net"} {
		if err := bind(fmt.Sprintf("/proc/%d/ns/%s", p.Pid, kind), n.nsPath(slot, kind)); err != nil {
			return err
		}
	}
	return nil
}

func bind(from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", to, err)
	}
	return nil
}

func (n *Network) unpin(slot int) {
	for _, kind := range []string{"net", "user"} {
		file := n.nsPath(slot, kind)
		for unix.Unmount(file, unix.MNT_DETACH) == nil {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			n.log.Warn("namespace not removed", "path", file, "error", err)
		}
	}
}

// within runs f on a thread of the network namespace. A thread that cannot
// come back is given up.
func within(ns *os.File, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- onThread(ns, f) }()
	return <-done
}

func onThread(ns *os.File, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	err = f()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
