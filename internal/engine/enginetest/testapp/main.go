// Command testapp is the program that the conformance suite runs in instances.
// Its first argument says how it behaves:
//
//	web            bind $PORT and answer (the default)
//	bind-late MS   bind $PORT after so many milliseconds
//	never-bind     run without binding
//	ignore-term    like web, but SIGTERM is ignored
//	exit N         end with code N
//	echo WORDS     print the words on a line
//	print N TEXT   print N numbered lines
//	complain WORDS print the words to stderr
//	cat            copy stdin to stdout
//	env            print the environment, sorted
//	hostname       print the host name
//	sleep SECONDS  sleep, then end with code 0
//	allocate       allocate and touch memory without end
//	fork N         start N sleeping copies of itself, print how many it could
//	tty            print "tty" or "no tty", for stdin
//	tick MS        print a numbered line every so often, without end
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	args := append(os.Args[1:], "", "")
	if len(os.Args) < 2 {
		args[0] = "web"
	}
	if err := run(args[0], args[1], os.Args[min(2, len(os.Args)):]); err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}

func run(verb, arg string, words []string) error {
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "web":
		return serve()
	case "bind-late":
		time.Sleep(time.Duration(n) * time.Millisecond)
		return serve()
	case "ignore-term":
		signal.Ignore(syscall.SIGTERM)
		return listen(nil)
	case "never-bind":
		time.Sleep(time.Hour)
	case "exit":
		os.Exit(n)
	case "sleep":
		time.Sleep(time.Duration(n) * time.Second)
	case "allocate":
		allocate()
	case "fork":
		return fork(n)
	case "tick":
		tick(time.Duration(n) * time.Millisecond)
	default:
		return talk(verb, n, words)
	}
	return nil
}

func talk(verb string, n int, words []string) error {
	switch verb {
	case "echo":
		fmt.Println(strings.Join(words, " "))
	case "print":
		for i := range n {
			fmt.Println(strings.Join(words[1:], " "), i)
		}
	case "complain":
		fmt.Fprintln(os.Stderr, strings.Join(words, " "))
	case "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case "env":
		env := os.Environ()
		slices.Sort(env)
		fmt.Println(strings.Join(env, "\n"))
	case "hostname":
		name, err := os.Hostname()
		fmt.Println(name)
		return err
	case "tty":
		info, err := os.Stdin.Stat()
		if err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Sys().(*syscall.Stat_t).Rdev != 0x103 { // 1:3 is /dev/null
			fmt.Println("tty")
			return nil
		}
		fmt.Println("no tty")
	default:
		return fmt.Errorf("no behaviour is called %q", verb)
	}
	return nil
}

// serve is web: it ends with code 0 at SIGTERM.
func serve() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	return listen(stop)
}

func listen(stop <-chan os.Signal) error {
	if stop != nil {
		go func() {
			<-stop
			fmt.Println("terminated politely")
			os.Exit(0)
		}()
	}
	fmt.Println("listening on " + os.Getenv("PORT"))
	return http.ListenAndServe(":"+os.Getenv("PORT"), handler())
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from testapp") })
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv(r.FormValue("key"))) })
	mux.HandleFunc("/hostname", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprint(w, name)
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		code, err := strconv.Atoi(os.Getenv("HEALTH_STATUS"))
		if err != nil || code < 200 || code > 599 {
			code = http.StatusOK
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.FormValue("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprintln(w, "slow")
	})
	mux.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		os.Exit(code)
	})
	return mux
}

func allocate() {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		_ = all
	}
}

func fork(n int) error {
	started := 0
	for range n {
		c := exec.Command("/proc/self/exe", "sleep", "60")
		if c.Start() != nil {
			break
		}
		started++
		defer func() { _, _ = c.Process.Kill(), c.Wait() }()
	}
	fmt.Println("started", started)
	return nil
}

func tick(every time.Duration) {
	for i := 0; ; i++ {
		fmt.Println("tick", i)
		time.Sleep(every)
	}
}
