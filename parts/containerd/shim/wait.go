package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// call is what a shim that waits is told: to be as if it had been started so.
type call struct {
	Args  []string
	Env   []string
	Dir   string
	Input []byte // bootapi.BootstrapParams
}

const (
	served  = 3 // the descriptor of the socket that a shim serves
	maxCall = 64 << 10
	patient = 2 * time.Second
)

// wait returns when this process is to be a shim: its arguments, environment
// and directory are then those of the call, and its socket listens. While it
// waits, descriptor 3 is a line to who started it, whose end is the end of
// this process.
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
		var to call
		if to.read(c) == nil {
			taken.Store(true)
			_ = l.Close() // and its file is gone
			err := to.become(c)
			c.Close()
			return err
		}
		c.Close()
	}
}

func (to *call) read(c *net.UnixConn) error {
	_ = c.SetDeadline(time.Now().Add(patient))
	data := make([]byte, maxCall)
	n, err := c.Read(data)
	if err != nil {
		return err
	}
	return json.Unmarshal(data[:n], to)
}

// become makes this process the shim of the call, up to what shim.RunShim does
// when it was started by "start", and answers as that does.
func (to *call) become(c *net.UnixConn) error {
	var p bootapi.BootstrapParams
	if err := proto.Unmarshal(to.Input, &p); err != nil {
		return err
	}
	os.Clearenv()
	for _, kv := range to.Env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			_ = os.Setenv(k, v)
		}
	}
	os.Args = []string{to.Args[0], "-namespace", p.GetNamespace(), "-id", p.GetInstanceID(), "-address", p.GetContainerdGrpcAddress()}
	if p.GetLogLevel() <= bootapi.LogLevel_LOG_LEVEL_DEBUG {
		os.Args = append(os.Args, "-debug")
	}
	if err := errors.Join(os.Chdir(to.Dir), os.Symlink(p.GetSocketDir(), "s")); err != nil {
		return err
	}
	address, err := listen(&p)
	if err != nil {
		return err
	}
	if err := shim.AdjustOOMScore(os.Getpid()); err != nil {
		return err
	}
	answer, err := proto.Marshal(&bootapi.BootstrapResult{Version: 3, Protocol: "ttrpc", Address: address})
	if err != nil {
		return err
	}
	_, err = c.Write(answer)
	return err
}

// listen opens the shim's socket as descriptor 3.
func listen(p *bootapi.BootstrapParams) (address string, err error) {
	ctx := namespaces.WithNamespace(context.Background(), p.GetNamespace())
	if address, err = shim.CreateSocketAddress(ctx, p.GetSocketDir(), p.GetContainerdGrpcAddress(), p.GetInstanceID(), false); err != nil {
		return "", err
	}
	_ = shim.RemoveSocket(address) // of one that was killed
	l, err := shim.NewSocket(address)
	if err != nil {
		return "", err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return "", err
	}
	defer f.Close()
	return address, unix.Dup3(int(f.Fd()), served, unix.O_CLOEXEC)
}
