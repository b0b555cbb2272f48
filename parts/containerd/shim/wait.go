package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/v2/pkg/shim"
	"golang.org/x/sys/unix"
)

// call is what a shim that waits is told: to be as if it had been started so.
// The socket to serve comes with it.
type call struct {
	Args []string
	Env  []string
	Dir  string
}

const (
	waitingDir = "warm" // in the directory of the shims' sockets
	served     = 3      // the descriptor of the socket that a shim serves
	maxCall    = 64 << 10
	answerTime = 2 * time.Second
)

// wait returns when this process is to be a shim: its arguments, environment
// and directory are then those of the call. While it waits, descriptor 3 is a
// pipe of who started it, and its end is the end of this process.
func wait(dir string) error {
	file := filepath.Join(dir, strconv.Itoa(os.Getpid()))
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: file, Net: "unixpacket"})
	if err != nil {
		return err
	}
	var taken atomic.Bool
	go func() {
		var b [1]byte
		for n, err := -1, error(unix.EINTR); n != 0 && (err == nil || err == unix.EINTR); {
			n, err = unix.Read(served, b[:])
		}
		if !taken.Load() {
			_ = os.Remove(file)
			os.Exit(0)
		}
	}()
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return err
		}
		if err := take(c, l, &taken); err != nil && taken.Load() {
			return err
		}
		c.Close()
		if taken.Load() {
			return nil
		}
	}
}

// take reads a call and does as it says. Without a whole call, nothing is taken.
func take(c *net.UnixConn, l *net.UnixListener, taken *atomic.Bool) error {
	_ = c.SetDeadline(time.Now().Add(answerTime))
	data, rights := make([]byte, maxCall), make([]byte, unix.CmsgSpace(4))
	n, rn, _, _, err := c.ReadMsgUnix(data, rights)
	if err != nil {
		return err
	}
	var to call
	if err := json.Unmarshal(data[:n], &to); err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("no socket came along: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return fmt.Errorf("no socket came along: %w", err)
	}
	taken.Store(true)
	_ = l.Close() // removes its file
	if err := unix.Dup3(fds[0], served, unix.O_CLOEXEC); err != nil {
		return err
	}
	_ = unix.Close(fds[0])
	if err := to.become(); err != nil {
		return err
	}
	_, err = c.Write([]byte(strconv.Itoa(os.Getpid())))
	return err
}

func (to call) become() error {
	os.Clearenv()
	for _, kv := range to.Env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			_ = os.Setenv(k, v)
		}
	}
	os.Args = to.Args
	return os.Chdir(to.Dir)
}

// handing starts a shim by handing the container to one that waits.
type handing struct{ shim.Shim }

// Start implements shim.Shim.
func (h handing) Start(ctx context.Context, p *bootapi.BootstrapParams) (*bootapi.BootstrapResult, error) {
	if address, err := hand(ctx, p); err == nil {
		return &bootapi.BootstrapResult{Version: 3, Protocol: "ttrpc", Address: address}, nil
	}
	return h.Shim.Start(ctx, p)
}

// hand returns the address of the shim that took the container.
func hand(ctx context.Context, p *bootapi.BootstrapParams) (string, error) {
	waiting, err := os.ReadDir(filepath.Join(p.GetSocketDir(), waitingDir))
	if err != nil || len(waiting) == 0 || p.GetLogLevel() <= bootapi.LogLevel_LOG_LEVEL_DEBUG {
		return "", fmt.Errorf("nobody waits: %w", err)
	}
	address, err := shim.CreateSocketAddress(ctx, p.GetSocketDir(), p.GetContainerdGrpcAddress(), p.GetInstanceID(), false)
	if err != nil {
		return "", err
	}
	_ = shim.RemoveSocket(address) // of one that was killed
	l, err := shim.NewSocket(address)
	if err != nil {
		return "", err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	to := call{Dir: dir, Env: append(os.Environ(), "OTEL_SERVICE_NAME=containerd-shim-"+p.GetInstanceID()),
		Args: []string{os.Args[0], "-namespace", p.GetNamespace(), "-id", p.GetInstanceID(), "-address", p.GetContainerdGrpcAddress()}}
	for _, w := range waiting {
		file := filepath.Join(p.GetSocketDir(), waitingDir, w.Name())
		c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: file, Net: "unixpacket"})
		if err != nil {
			continue // it was taken just now, or nobody is behind it
		}
		err = offer(c, to, l)
		c.Close()
		if err == nil {
			return address, nil
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			break // it may have taken it
		}
	}
	_ = shim.RemoveSocket(address)
	return "", fmt.Errorf("none of %d took it", len(waiting))
}

// offer is nil when the shim that waits at the other end has taken the call.
func offer(c *net.UnixConn, to call, l *net.UnixListener) error {
	socket, err := l.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	data, err := json.Marshal(to)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(answerTime))
	if _, _, err := c.WriteMsgUnix(data, unix.UnixRights(int(socket.Fd())), nil); err != nil {
		return err
	}
	answer := make([]byte, 20)
	n, err := c.Read(answer)
	if err != nil || n == 0 {
		return errors.Join(err, io.EOF)
	}
	pid, err := strconv.Atoi(string(answer[:n]))
	if err != nil {
		return err
	}
	return shim.AdjustOOMScore(pid)
}
