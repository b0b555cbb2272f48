// Command router compares Stead's router with nginx, HAProxy, Caddy and Traefik:
// the same load, one core for the proxy, the other for load and app, alternated
// rounds, medians. Run it by "make bench-router".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// row is one kind of load.
type row struct {
	name     string
	path     string
	conns    int
	streams  int  // HTTP/2 streams a connection
	safe     bool // TLS
	fresh    bool // a connection a request
	many     bool // the table of 10 000 routes
	browser  bool // a head of a browser's size
	slow     int  // slow clients beside
	answered map[string][]sample
}

// sample is one round of one proxy.
type sample struct {
	rate, perCPU  float64
	p50, p99, p2  time.Duration
	failed, count int
}

func rows() []*row {
	return []*row{
		{name: "1 KB, 64 connections", path: "/1k", conns: 64},
		{name: "20 KB, 64 connections", path: "/20k", conns: 64},
		{name: "1 KB, 1 connection", path: "/1k", conns: 1},
		{name: "1 KB, 4 connections", path: "/1k", conns: 4},
		{name: "1 KB, 1000 connections", path: "/1k", conns: 1000},
		{name: "browser-sized heads", path: "/1k", conns: 64, browser: true},
		{name: "10 000 routes", path: "/1k", conns: 64, many: true},
		{name: "200 slow clients beside", path: "/1k", conns: 64, slow: 200},
		{name: "TLS keep-alive, 64", path: "/1k", conns: 64, safe: true},
		{name: "HTTP/2, 8 × 8 streams", path: "/1k", conns: 8, streams: 8, safe: true},
		{name: "a connection per request", path: "/1k", conns: 64, fresh: true},
	}
}

type bench struct {
	dir       string
	core      string
	one, many []*proxy // by maker; nil: not there
	missing   []string
	rounds    int
	length    time.Duration
	rows      []*row
	idle      map[string]float64 // KB a connection
}

func main() {
	short := flag.Bool("short", false, "two to three minutes instead of ten to fifteen")
	only := flag.String("only", "", "proxies, comma-separated; all")
	match := flag.String("rows", "", "rows whose name contains this; all")
	others := flag.String("builds", "", "further builds of steadd, as before=/path/to/steadd,…")
	core := flag.String("core", "0", "the proxies' core")
	flag.Parse()
	if err := run(*short, *only, *match, *core, *others); err != nil {
		fmt.Fprintln(os.Stderr, "bench-router:", err)
		os.Exit(1)
	}
}

func run(short bool, only, match, core, others string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("/tmp", "stead-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, core: core, rounds: 5, length: 1500 * time.Millisecond, idle: map[string]float64{}}
	if short {
		b.rounds, b.length = 3, 600*time.Millisecond
	}
	for _, r := range rows() {
		if r.answered = map[string][]sample{}; strings.Contains(r.name, match) {
			b.rows = append(b.rows, r)
		}
	}
	defer b.end()
	if err := b.start(only, others); err != nil {
		return err
	}
	if err := b.measureIdle(); err != nil { // first: a used process has memory to reuse
		return err
	}
	for n := range b.rounds {
		for _, r := range b.rows {
			if err := b.round(ctx, r, n); err != nil {
				return err
			}
		}
	}
	b.print(os.Stdout)
	return nil
}

// start runs every proxy twice: with one route and with 10 000.
func (b *bench) start(only, others string) error {
	app, err := startBackend()
	if err != nil {
		return err
	}
	cert, err := certificate(b.dir)
	if err != nil {
		return err
	}
	hosts := make([]string, 10_000)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("app%d.bench.test", i)
	}
	for _, m := range makers(others) {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		if _, err := exec.LookPath(m.bin); err != nil {
			b.missing = append(b.missing, m.name)
			continue
		}
		s := site{backend: app, cert: cert, lines: strings.Contains(m.name, "lines")}
		for _, n := range []int{1, len(hosts)} {
			s.dir, s.hosts = filepath.Join(b.dir, fmt.Sprintf("%s-%d", m.name, n)), hosts[:n]
			p, err := start(m.name, b.core, m.make, s)
			if err != nil {
				return err
			}
			if n == 1 {
				b.one = append(b.one, p)
			} else {
				b.many = append(b.many, p)
			}
		}
	}
	return nil
}

func (b *bench) end() {
	for _, p := range append(b.one, b.many...) {
		p.end()
	}
}

// round measures the row on each proxy, beginning with another one each time.
func (b *bench) round(ctx context.Context, r *row, n int) error {
	list := b.one
	if r.many {
		list = b.many
	}
	for i := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p := list[(i+n)%len(list)]
		s, err := b.measure(p, r)
		if errors.Is(err, errNoAnswers) {
			fmt.Fprintf(os.Stderr, "%s, %s: a round without a figure: %v\n", r.name, p.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", r.name, p.name, err)
		}
		r.answered[p.name] = append(r.answered[p.name], s)
	}
	return nil
}

type load interface {
	run(end <-chan struct{}) error
}

func (b *bench) load(p *proxy, r *row, t *tally) (load, error) {
	if r.safe {
		return &secure{addr: p.safe, host: "app0.bench.test", path: r.path, conns: r.conns, streams: r.streams, tally: t}, nil
	}
	f := &flood{conns: r.conns, fresh: r.fresh, tally: t}
	var err error
	f.addr, err = socketAddr(p.plain)
	hosts := []string{"app0.bench.test"}
	if r.many {
		hosts = nil
		for i := range 100 {
			hosts = append(hosts, fmt.Sprintf("app%d.bench.test", i*100+7))
		}
	}
	for _, h := range hosts {
		text := plainRequest(h, r.path)
		if r.browser {
			text = browserRequest(h, r.path)
		}
		if r.fresh {
			text = strings.Replace(text, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
		}
		f.requests = append(f.requests, []byte(text))
	}
	return f, err
}

var errNoAnswers = errors.New("too few answers")

func (b *bench) measure(p *proxy, r *row) (s sample, err error) {
	t := &tally{}
	l, err := b.load(p, r, t)
	if err != nil {
		return s, err
	}
	end, done := make(chan struct{}), make(chan error, 1)
	slow := crowd(p.plain, r.slow, end)
	go func() { done <- l.run(end) }()
	time.Sleep(b.length/5 + 100*time.Millisecond)
	pids := family(p.cmd.Process.Pid)
	t.take()
	used, began := cpu(pids), time.Now()
	select {
	case err = <-done:
		return s, errors.Join(errors.New("the load ended early"), err)
	case <-time.After(b.length):
	}
	used, took := cpu(pids)-used, time.Since(began)
	times, failed := t.take()
	close(end)
	slow.Wait()
	if err := <-done; err != nil {
		return s, err
	}
	slices.Sort(times)
	for _, n := range failed {
		s.failed += n
	}
	if len(times) == 0 || s.failed > len(times)/100 {
		return s, fmt.Errorf("%w: %d answers, failures: %v", errNoAnswers, len(times), failed)
	}
	s.count = len(times)
	s.rate, s.perCPU = float64(s.count)/took.Seconds(), float64(s.count)/max(used, tick).Seconds()
	s.p50, s.p99, s.p2 = quantile(times, .5), quantile(times, .99), quantile(times, .999)
	return s, nil
}

// measureIdle opens connections that have had one answer each and rest.
func (b *bench) measureIdle() error {
	const many = 2000
	for _, p := range b.one {
		pids := family(p.cmd.Process.Pid)
		time.Sleep(200 * time.Millisecond)
		before := resident(pids)
		open := make([]net.Conn, 0, many)
		for range many {
			c, err := net.Dial("tcp", p.plain)
			if err != nil {
				return err
			}
			open = append(open, c)
			if err := one(c); err != nil {
				return fmt.Errorf("%s, idle: %w", p.name, err)
			}
		}
		b.idle[p.name] = max(float64(resident(pids)-before), 0) / many / 1024
		for _, c := range open {
			c.Close()
		}
	}
	return nil
}
