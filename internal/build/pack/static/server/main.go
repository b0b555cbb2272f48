// Command serve serves the files of a directory over HTTP on $PORT. It stops on
// SIGTERM when the requests in flight are answered.
//
//	serve [-spa] [-404 FILE] DIR
//
// Files and directories whose names start with a dot are not there, but for
// .well-known. DIR/404.html (or FILE), if there is one, is the body of "not
// found"; a name without extension finds NAME.html. With -spa, what is not
// found and looks like a page rather than a file gets DIR/index.html.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
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
	var o Options
	flag.BoolVar(&o.SPA, "spa", false, "answer unknown pages with index.html")
	flag.StringVar(&o.NotFound, "404", "404.html", "the page for what is not found")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: serve [-spa] [-404 FILE] DIR")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), os.Getenv("PORT"), o); err != nil {
		log.Fatal(err)
	}
}

func run(dir, port string, o Options) error {
	root, err := os.OpenRoot(dir) // links cannot lead out of it
	if err != nil {
		return err
	}
	if port == "" {
		port = "8080"
	}
	s := &http.Server{Addr: ":" + port, Handler: Handler(root.FS(), o), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
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

// Options say what is answered when there is no file.
type Options struct {
	SPA      bool
	NotFound string // a file of the tree
}

// page is the last resort for a path: the file, or "".
func (o Options) page(url string) string {
	if ext := path.Ext(url); o.SPA && (ext == "" || ext == ".html") {
		return "index.html"
	}
	return ""
}

// Handler serves the tree.
func Handler(tree fs.FS, o Options) http.Handler {
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
			missing(w, r, tree, o)
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

func missing(w http.ResponseWriter, r *http.Request, tree fs.FS, o Options) {
	if data, err := fs.ReadFile(tree, o.page(r.URL.Path)); err == nil {
		http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(data))
		return
	}
	body, err := fs.ReadFile(tree, o.NotFound)
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write(body)
}
