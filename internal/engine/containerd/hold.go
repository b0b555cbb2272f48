package containerd

import (
	"os"
	"os/signal"
	"syscall"
)

// Hold idles as the first process of a held instance until SIGTERM or SIGINT,
// and reaps what commands leave behind. It is the body of the hidden
// subcommand named in Config.Hold.
func Hold() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}
