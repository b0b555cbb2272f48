// Command serve serves the files of a directory over HTTP on $PORT. It stops on
// SIGTERM when the requests in flight are answered.
//
//	serve DIR
//
// Files and directories whose names start with a dot are not there, but for
// .well-known. DIR/404.html, if there is one, is the body of "not found";
// a name without extension finds NAME.html.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: serve DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}

func run(dir, port string) error {
	root, err := os.OpenRoot(dir) // links cannot lead out of it
	if err != nil {
		return err
	}
	if port == "" {
		port = "8080"
	}
	s := &http.Server{Addr: ":" + port, Handler: Handler(root.FS()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		done <- s.Shutdown(limit)
	}()
	log.Printf("serving %s on port %s", dir, port)
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

// Handler serves the tree.
func Handler(tree fs.FS) http.Handler {
	files := http.FileServerFS(tree)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache") // kept by browsers, but checked
		switch name := find(tree, r.URL.Path); name {
		case "":
			notFound(w, tree)
		case path.Clean("/" + r.URL.Path)[1:], ".":
			files.ServeHTTP(w, r)
		default:
			http.ServeFileFS(w, r, tree, name)
		}
	})
}

// find returns the file or directory that a request's path stands for, or "".
func find(tree fs.FS, url string) string {
	name := strings.TrimPrefix(path.Clean("/"+url), "/")
	if name == "" {
		name = "."
	}
	for _, part := range strings.Split(name, "/") {
		if part != "." && strings.HasPrefix(part, ".") && part != ".well-known" {
			return ""
		}
	}
	st, err := fs.Stat(tree, name)
	switch {
	case err == nil && st.IsDir():
		if _, err := fs.Stat(tree, path.Join(name, "index.html")); err != nil {
			return "" // no listings
		}
		return name
	case err == nil:
		return name
	case path.Ext(name) == "" && name != ".":
		if st, err := fs.Stat(tree, name+".html"); err == nil && !st.IsDir() {
			return name + ".html"
		}
	}
	return ""
}

func notFound(w http.ResponseWriter, tree fs.FS) {
	body, err := fs.ReadFile(tree, "404.html")
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(body)
}
