package route

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstFD is the first descriptor of socket activation (sd_listen_fds(3)).
const firstFD = 3

// activated returns the listeners that a service manager handed in, by name:
// FileDescriptorName=http and https, or without names in this order. None when
// they are for another process.
func activated(getenv func(string) string, pid int) (map[string]net.Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 64 {
		return nil, fmt.Errorf("LISTEN_FDS is %q", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	got := map[string]net.Listener{}
	for i := range n {
		name := [2]string{"http", "https"}[min(i, 1)]
		if i < len(names) && names[i] != "" && names[i] != "unknown" {
			name = names[i]
		}
		syscall.CloseOnExec(firstFD + i)
		f := os.NewFile(uintptr(firstFD+i), name)
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the descriptor %d that was handed in is no listener", firstFD+i), err)
		}
		got[name] = ln
	}
	return got, nil
}
