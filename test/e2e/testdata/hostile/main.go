// Command hostile does on request what an app must not be able to hurt others
// with.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
)

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "still here") })
	// ?mb= so many MiB of log lines, as fast as they are taken.
	http.HandleFunc("GET /spam", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("mb"))
		line := append(bytes.Repeat([]byte("spam"), 255), "!!!\n"...)
		mib := bytes.Repeat(line, 1024)
		for done := range n {
			if done%64 == 0 { // so that the answer is under way
				fmt.Fprintln(w, done)
				_ = http.NewResponseController(w).Flush()
			}
			if _, err := os.Stdout.Write(mib); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		fmt.Fprintln(w, "wrote", n, "MiB")
	})
	http.HandleFunc("GET /bomb", func(w http.ResponseWriter, r *http.Request) {
		if err := exec.Command("sh", "-c", "bomb() { bomb | bomb & }; bomb").Start(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "lit")
	})
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
