// Command worker works in the background: here, it only counts.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		log.Println("job", n, "done")
		select {
		case <-tick.C:
		case <-ctx.Done():
			log.Println("worker stops")
			return
		}
	}
}
