package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// flood keeps conns requests in flight over plain HTTP/1.1 from one thread. It
// measures; what answers under faults and changes is test/load's business.
type flood struct {
	addr     syscall.SockaddrInet4
	conns    int
	requests [][]byte // sent in turn
	fresh    bool     // a connection for each request
	epoll    int
	next     int
	open     map[int]*flight
	buf      []byte
	tally    *tally
}

// flight is a request under way on a connection.
type flight struct {
	began   time.Time
	out     []byte // still to be sent
	head    []byte // while the head is incomplete
	left    int    // of the body; -1: in the head
	waiting bool   // for the connection
}

func socketAddr(addr string) (a syscall.SockaddrInet4, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err == nil {
		a = syscall.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return a, err
}

func (f *flood) run(end <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var err error
	if f.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	defer syscall.Close(f.epoll)
	f.open, f.buf = map[int]*flight{}, make([]byte, 64<<10)
	defer func() {
		for fd := range f.open {
			syscall.Close(fd)
		}
	}()
	for range f.conns {
		if err := f.dial(); err != nil {
			return err
		}
	}
	events := make([]syscall.EpollEvent, 256)
	for {
		select {
		case <-end:
			return nil
		default:
		}
		n, err := syscall.EpollWait(f.epoll, events, 20)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if err := f.step(int(e.Fd)); err != nil {
				return err
			}
		}
	}
}

func (f *flood) dial() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	fl := &flight{began: time.Now(), waiting: true}
	f.open[fd] = fl
	if err := syscall.Connect(fd, &f.addr); err != nil && err != syscall.EINPROGRESS {
		return fmt.Errorf("connect: %w", err)
	}
	return watch(f.epoll, fd, syscall.EPOLLOUT)
}

func (f *flood) send(fd int, fl *flight) error {
	req := f.requests[f.next%len(f.requests)]
	f.next++
	fl.left, fl.head = -1, fl.head[:0]
	if n, err := syscall.Write(fd, req); err != nil || n != len(req) {
		return f.again(fd, fmt.Errorf("send: %d of %d: %w", n, len(req), err))
	}
	return nil
}

// again counts a failure and opens a connection in place of the broken one.
func (f *flood) again(fd int, why error) error {
	f.tally.fail(why)
	f.close(fd)
	return f.dial()
}

func (f *flood) close(fd int) {
	delete(f.open, fd)
	syscall.Close(fd)
}

func (f *flood) step(fd int) error {
	fl := f.open[fd]
	if fl == nil {
		return nil
	}
	if fl.waiting {
		fl.waiting = false
		if e, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR); err != nil || e != 0 {
			return f.again(fd, fmt.Errorf("connect: %w", syscall.Errno(e)))
		}
		if err := syscall.EpollCtl(f.epoll, syscall.EPOLL_CTL_MOD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
		return f.send(fd, fl)
	}
	n, err := syscall.Read(fd, f.buf)
	if n <= 0 {
		if err == syscall.EAGAIN {
			return nil
		}
		return f.again(fd, errors.Join(errors.New("closed early"), err))
	}
	done, err := fl.take(f.buf[:n])
	if err != nil {
		return f.again(fd, err)
	}
	if !done {
		return nil
	}
	f.tally.add(time.Since(fl.began))
	if f.fresh {
		f.close(fd)
		return f.dial()
	}
	fl.began = time.Now()
	return f.send(fd, fl)
}

// take follows an answer and reports its end.
func (fl *flight) take(b []byte) (done bool, err error) {
	if fl.left >= 0 {
		fl.left -= len(b)
		return fl.left == 0, nil
	}
	whole := b
	if len(fl.head) > 0 {
		fl.head = append(fl.head, b...)
		whole = fl.head
	}
	end := bytes.Index(whole, []byte("\r\n\r\n"))
	if end < 0 {
		if len(fl.head) == 0 {
			fl.head = append(fl.head, b...)
		}
		return false, nil
	}
	if !bytes.HasPrefix(whole, []byte("HTTP/1.1 200")) {
		return false, fmt.Errorf("answered %.40q", whole)
	}
	length, err := contentLength(whole[:end])
	if err != nil {
		return false, err
	}
	fl.left = length - (len(whole) - end - 4)
	return fl.left == 0, nil
}

func contentLength(head []byte) (int, error) {
	const name = "\r\ncontent-length: "
	for i := 0; ; {
		at := bytes.Index(head[i:], []byte("\r\n"))
		if at < 0 || i+at+len(name) > len(head) {
			return 0, errors.New("an answer without Content-Length")
		}
		i += at
		if bytes.EqualFold(head[i:i+len(name)], []byte(name)) {
			v, _, _ := bytes.Cut(head[i+len(name):], []byte("\r"))
			return strconv.Atoi(string(v))
		}
		i += 2
	}
}
