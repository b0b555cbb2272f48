package main

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"syscall"
)

// backend is the app behind the proxies: one thread, no allocation, so that the
// proxy is what saturates. It answers /1k and /20k, in keep-alive.
type backend struct {
	epoll, listener int
	addr            string
	small, large    []byte
	conns           map[int]*pending
}

// pending is what a connection has sent of a head.
type pending struct {
	buf []byte
}

func answer(size int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), bytes.Repeat([]byte("x"), size)...)
}

// startBackend serves on a loopback port until the process ends.
func startBackend() (string, error) {
	b := &backend{small: answer(1 << 10), large: answer(20 << 10), conns: map[int]*pending{}}
	var err error
	if b.listener, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0); err != nil {
		return "", err
	}
	if err = syscall.Bind(b.listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err = syscall.Listen(b.listener, 4096); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(b.listener)
	if err != nil {
		return "", err
	}
	b.addr = net.JoinHostPort("127.0.0.1", fmt.Sprint(name.(*syscall.SockaddrInet4).Port))
	if b.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return "", err
	}
	if err = watch(b.epoll, b.listener, syscall.EPOLLIN); err != nil {
		return "", err
	}
	go b.run()
	return b.addr, nil
}

func watch(epoll, fd int, events uint32) error {
	return syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (b *backend) run() {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, 256)
	for {
		n, err := syscall.EpollWait(b.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			panic(err)
		}
		for _, e := range events[:max(n, 0)] {
			if fd := int(e.Fd); fd == b.listener {
				b.accept()
			} else if !b.serve(fd) {
				delete(b.conns, fd)
				syscall.Close(fd)
			}
		}
	}
}

func (b *backend) accept() {
	for {
		fd, _, err := syscall.Accept4(b.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		b.conns[fd] = &pending{buf: make([]byte, 0, 8<<10)}
		if watch(b.epoll, fd, syscall.EPOLLIN) != nil {
			syscall.Close(fd)
		}
	}
}

// serve reads what came and answers each whole head.
func (b *backend) serve(fd int) bool {
	p := b.conns[fd]
	if len(p.buf) == cap(p.buf) {
		return false
	}
	n, err := syscall.Read(fd, p.buf[len(p.buf):cap(p.buf)])
	if n <= 0 {
		return err == syscall.EAGAIN
	}
	p.buf = p.buf[:len(p.buf)+n]
	for {
		end := bytes.Index(p.buf, []byte("\r\n\r\n"))
		if end < 0 {
			return true
		}
		out := b.small
		if bytes.HasPrefix(p.buf, []byte("GET /20k ")) {
			out = b.large
		}
		gone := bytes.Contains(p.buf[:end], []byte("onnection: close"))
		if !writeAll(fd, out) || gone {
			return false
		}
		p.buf = p.buf[:copy(p.buf, p.buf[end+4:])]
	}
}

// writeAll waits for the peer when it must; answers fit the socket's buffer.
func writeAll(fd int, b []byte) bool {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EAGAIN {
			runtime.Gosched()
			continue
		}
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}
