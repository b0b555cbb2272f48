package cli

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
)

// policyFlags are the flags of a route's policy. Only those given change it.
type policyFlags struct {
	to, pins, allow, deny, users []string
	redirect, rate, rateBy       string
	status, burst                int
	p                            stead.RoutePolicy // plain values
	firstByte, idle, queueTime   int
	passwordStdin                bool
}

func (f *policyFlags) add(cmd *cobra.Command) {
	s := cmd.Flags()
	s.StringSliceVar(&f.to, "to", nil, "share the requests out between processes, as web=90,canary=10")
	s.StringArrayVar(&f.pins, "pin", nil, "always send requests with a header or cookie to a process of --to, as canary='header X-Canary=yes'")
	s.BoolVar(&f.p.Sticky, "sticky", false, "keep a visitor on an instance, by a cookie")
	s.StringVar(&f.redirect, "redirect", "", "answer with a redirect to this URL; {path} in it is the rest of the path")
	s.IntVar(&f.status, "redirect-status", 302, "301, 302, 307 or 308")
	s.StringSliceVar(&f.allow, "allow", nil, "only clients from these addresses and networks")
	s.StringSliceVar(&f.deny, "deny", nil, "no clients from these addresses and networks")
	s.StringSliceVar(&f.users, "basic-auth", nil, "users who may enter; a new one's password is asked for")
	s.BoolVar(&f.passwordStdin, "password-stdin", false, "read the passwords of --basic-auth from standard input, a line for each user")
	s.StringVar(&f.rate, "rate", "", "requests of one client in so many seconds, as 100/60")
	s.IntVar(&f.burst, "burst", 0, "requests of one client at once after a pause (default as in --rate)")
	s.StringVar(&f.rateBy, "rate-by", "address", "tell clients apart by address, or by 'header NAME'")
	s.IntVar(&f.firstByte, "first-byte", 0, "seconds until an answer begins (default 30)")
	s.IntVar(&f.idle, "idle", 0, "seconds without a byte either way (default 55)")
	s.Int64Var(&f.p.MaxBody, "max-body", 0, "bytes of a request's body (default no limit)")
	s.IntVar(&f.p.MaxHead, "max-head", 0, "bytes of a request's head (default 32768)")
	s.IntVar(&f.p.Concurrency, "concurrency", 0, "requests at once on one instance (default no limit)")
	s.IntVar(&f.p.Queue, "queue", 0, "requests that wait for their turn then")
	s.IntVar(&f.queueTime, "queue-time", 0, "seconds that they wait (default 5)")
	s.IntVar(&f.p.LogEvery, "log-every", 0, "one access line for so many good requests (default each)")
}

// applyPolicy changes p by the flags that were given.
func (sh *shell) applyPolicy(cmd *cobra.Command, f *policyFlags, p *stead.RoutePolicy) error {
	set := cmd.Flags().Changed
	for name, change := range map[string]func(){
		"sticky": func() { p.Sticky = f.p.Sticky }, "max-body": func() { p.MaxBody = f.p.MaxBody }, "max-head": func() { p.MaxHead = f.p.MaxHead },
		"concurrency": func() { p.Concurrency = f.p.Concurrency }, "queue": func() { p.Queue = f.p.Queue },
		"log-every": func() { p.LogEvery = f.p.LogEvery }, "allow": func() { p.Allow = f.allow }, "deny": func() { p.Deny = f.deny },
		"first-byte": func() { p.FirstByte = stead.Seconds(f.firstByte) }, "idle": func() { p.Idle = stead.Seconds(f.idle) },
		"queue-time": func() { p.QueueTime = stead.Seconds(f.queueTime) },
		"redirect": func() {
			if p.Redirect = nil; f.redirect != "" {
				p.Redirect = &stead.Redirect{URL: f.redirect}
			}
		},
	} {
		if set(name) {
			change()
		}
	}
	if p.Redirect != nil && (set("redirect") || set("redirect-status")) {
		p.Redirect.Status = f.status
	}
	if err := f.applyShares(set, p); err != nil {
		return usage{err}
	}
	if err := f.applyRate(set, p); err != nil {
		return usage{err}
	}
	if set("basic-auth") {
		return sh.applyUsers(f, p)
	}
	return nil
}

func (f *policyFlags) applyShares(set func(string) bool, p *stead.RoutePolicy) error {
	if set("to") {
		p.Destinations = nil
		for _, s := range f.to {
			process, weight, _ := strings.Cut(s, "=")
			n, err := strconv.Atoi(weight)
			if err != nil {
				return fmt.Errorf("--to %s: write PROCESS=WEIGHT, such as canary=10", s)
			}
			p.Destinations = append(p.Destinations, stead.Destination{Process: process, Weight: n})
		}
	}
	for _, pin := range f.pins {
		process, what, _ := strings.Cut(pin, "=")
		found := false
		for i := range p.Destinations {
			if p.Destinations[i].Process == process {
				p.Destinations[i].Pin, found = what, true
			}
		}
		if !found {
			return fmt.Errorf("--pin %s: %q is no process of --to", pin, process)
		}
	}
	return nil
}

func (f *policyFlags) applyRate(set func(string) bool, p *stead.RoutePolicy) error {
	if set("rate") {
		if f.rate == "" {
			p.Rate = nil
			return nil
		}
		requests, per, ok := strings.Cut(f.rate, "/")
		n, err := strconv.Atoi(requests)
		seconds, err2 := strconv.Atoi(per)
		if !ok {
			seconds, err2 = 1, nil
		}
		if err != nil || err2 != nil {
			return fmt.Errorf("--rate %s: write REQUESTS/SECONDS, such as 100/60", f.rate)
		}
		p.Rate = &stead.Rate{Requests: n, Per: stead.Seconds(seconds)}
	}
	if p.Rate == nil {
		return nil
	}
	if set("burst") {
		p.Rate.Burst = f.burst
	}
	if set("rate-by") {
		p.Rate.By = f.rateBy
	}
	return nil
}

// applyUsers sets who may enter; who could already keeps the password.
func (sh *shell) applyUsers(f *policyFlags, p *stead.RoutePolicy) error {
	known := map[string]bool{}
	for _, c := range p.BasicAuth {
		known[c.User] = true
	}
	p.BasicAuth = nil
	lines := bufio.NewScanner(sh.in)
	for _, user := range f.users {
		c := stead.Credential{User: user}
		switch {
		case f.passwordStdin && lines.Scan():
			c.Password = lines.Text()
		case f.passwordStdin:
			return usage{fmt.Errorf("standard input has no line with the password of %s", user)}
		case known[user]:
		case !tty(sh.in):
			return usage{fmt.Errorf("there is no terminal to ask for the password of %s on: use --password-stdin", user)}
		default:
			var err error
			if c.Password, err = sh.password("Password of "+user+": ", true); err != nil {
				return err
			}
		}
		p.BasicAuth = append(p.BasicAuth, c)
	}
	return nil
}
