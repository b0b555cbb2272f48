// Command hello greets over HTTP.
//
// It is what a web app on Stead needs to be: it listens on $PORT, answers
// /healthz when it can serve, and on SIGTERM answers what it has begun before
// it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is what a one-line change changes.
const version = "1"

func main() {
	if err := run(); err != nil {
		slog.Error("hello failed", "error", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	port := or(os.Getenv("PORT"), "8080")
	s := &http.Server{Addr: ":" + port, Handler: handler(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		slog.Info("stopping")
		limit, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		done <- s.Shutdown(limit)
	}()
	slog.Info("listening", "port", port, "version", version)
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

func handler() http.Handler {
	mux := http.NewServeMux()
	greeting := or(os.Getenv("GREETING"), "Hello from Stead!")
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s\n%s %s on %s (version %s)\n", greeting, os.Getenv("STEAD_APP"), os.Getenv("STEAD_RELEASE"), os.Getenv("STEAD_INSTANCE"), version)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
