package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// giveAway hands the listening sockets to the first successor that asks and
// confirms that it serves them:
//
//	successor           this router
//	connect  ─────────→
//	         ←───────── names + descriptors
//	"ok"     ─────────→ stops accepting, drains
func (s *server) giveAway(ln *net.UnixListener) {
	for {
		c, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		err = s.hand(c)
		c.Close()
		if err == nil {
			close(s.taken)
			ln.Close()
			return
		}
		s.cfg.Log.Warn("listeners not handed over", "error", err)
	}
}

func (s *server) hand(c *net.UnixConn) error {
	c.SetDeadline(time.Now().Add(handLimit))
	var names []string
	var fds []int
	for name, ln := range map[string]net.Listener{"http": s.plain, "https": s.safe} {
		t, ok := ln.(*net.TCPListener)
		if !ok {
			continue
		}
		f, err := t.File()
		if err != nil {
			return fmt.Errorf("duplicate a listener: %w", err)
		}
		defer f.Close()
		raw, err := f.SyscallConn() // Fd would make this router's own accept block
		if err != nil {
			return fmt.Errorf("duplicate a listener: %w", err)
		}
		err = raw.Control(func(fd uintptr) { names, fds = append(names, name), append(fds, int(fd)) })
		if err != nil {
			return fmt.Errorf("duplicate a listener: %w", err)
		}
	}
	b, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if _, _, err := c.WriteMsgUnix(b, syscall.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("send the listeners: %w", err)
	}
	var ok [2]byte
	if n, err := c.Read(ok[:]); err != nil || string(ok[:n]) != "ok" {
		return errors.Join(errors.New("the successor did not confirm"), err)
	}
	return nil
}

// takeOver gets the listeners of the router that runs on the socket. It goes on
// serving them until confirm is called; when the successor fails before that,
// nothing has happened.
func takeOver(socket string) (got map[string]net.Listener, confirm func() error, err error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket + ".next", Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	c.SetDeadline(time.Now().Add(handLimit))
	b, oob := make([]byte, 4096), make([]byte, syscall.CmsgSpace(4*maxListeners))
	n, on, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, fmt.Errorf("receive listeners: %w", err)
	}
	var names []string
	if err := json.Unmarshal(b[:n], &names); err != nil {
		return nil, nil, fmt.Errorf("receive listeners: %w", err)
	}
	if got, err = listeners(names, oob[:on]); err != nil {
		return nil, nil, err
	}
	return got, func() error { defer c.Close(); _, err := c.Write([]byte("ok")); return err }, nil
}

// Limits of a hand-over.
const (
	handLimit    = 10 * time.Second
	maxListeners = 250 // descriptors in one message (unix(7): 253)
)

func listeners(names []string, oob []byte) (map[string]net.Listener, error) {
	var fds []int
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive listeners: %w", err)
	}
	for i := range msgs {
		more, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			return nil, fmt.Errorf("receive listeners: %w", err)
		}
		fds = append(fds, more...)
	}
	got := map[string]net.Listener{}
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "listener")
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil || i >= len(names) {
			return nil, errors.Join(errors.New("a received descriptor is no listener"), err)
		}
		got[names[i]] = ln
	}
	return got, nil
}
