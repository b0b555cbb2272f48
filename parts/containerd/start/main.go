// Command containerd-shim-stead-v1 is how containerd starts Stead's shims: it
// hands the container to a shim that waits for one in $STEAD_WARM, or else, and
// for all other calls, is replaced by containerd-shim-runc-v2 beside it. It is
// small because it is on the way of every start: the shim's own program takes
// longer to begin than all that is done here.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// call is what a shim that waits is told: to be as if it had been started so.
type call struct {
	Args  []string
	Env   []string
	Dir   string
	Input []byte
}

const (
	maxAnswer  = 16 << 10
	answerTime = 2 // seconds
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(dir), "containerd-shim-runc-v2")
	if os.Args[len(os.Args)-1] == "start" {
		input, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		if answer, err := hand(program, input); err == nil {
			_, err = os.Stdout.Write(answer)
			return err
		}
		if err := rewind(input); err != nil {
			return err
		}
	}
	return unix.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
}

// hand returns the answer of the shim that took the container.
func hand(program string, input []byte) ([]byte, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(call{append([]string{program}, os.Args[1:]...), os.Environ(), here, input})
	if err != nil {
		return nil, err
	}
	waiting, err := os.ReadDir(os.Getenv("STEAD_WARM"))
	for _, w := range waiting {
		answer, sent, err := offer(filepath.Join(os.Getenv("STEAD_WARM"), w.Name()), data)
		if err == nil || sent {
			return answer, err
		}
	}
	return nil, errors.Join(err, errors.New("no shim waits"))
}

// offer returns the answer of the shim that waits at file. Once sent, it may
// have taken the call though no answer came.
func offer(file string, data []byte) (answer []byte, sent bool, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: file}); err != nil {
		return nil, false, err // it was taken just now, or nobody is behind it
	}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerTime})
	if err := unix.Send(fd, data, unix.MSG_NOSIGNAL); err != nil {
		return nil, false, err
	}
	answer = make([]byte, maxAnswer)
	n, err := unix.Read(fd, answer)
	if errors.Is(err, unix.ECONNRESET) || err == nil && n == 0 {
		return nil, false, io.ErrUnexpectedEOF // another call came first
	}
	return answer[:max(n, 0)], true, err
}

// rewind makes standard input what it was before it was read.
func rewind(input []byte) error {
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if _, err := unix.Pwrite(fd, input, 0); err != nil {
		return err
	}
	return unix.Dup3(fd, 0, 0)
}
