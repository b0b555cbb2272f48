package containerd

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultBootLimit = 60 * time.Second

// boot returns nil once the instance can serve, or an error that says why it
// could not within its boot limit.
func (i *instance) boot(ctx context.Context, r *running) error {
	if i.w.Port == 0 || i.w.Hold {
		return nil
	}
	limit := i.w.Health.BootLimit.Duration()
	if limit <= 0 {
		limit = defaultBootLimit
	}
	late, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began, answer := time.Now(), ""
	for late.Err() == nil {
		ok, said := i.probe(late)
		if ok {
			return nil
		}
		if said != "" && (late.Err() == nil || answer == "") {
			answer = said
		}
		pause(late, pollInterval(time.Since(began)))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return i.diagnose(r.pid, answer, limit)
}

// pollInterval is short at first, so that a quick start is seen at once.
func pollInterval(since time.Duration) time.Duration {
	switch {
	case since < 200*time.Millisecond:
		return 2 * time.Millisecond
	case since < time.Second:
		return 5 * time.Millisecond
	case since < 5*time.Second:
		return 25 * time.Millisecond
	}
	return 200 * time.Millisecond
}

// probe asks the instance whether it can serve; said is what it answered.
func (i *instance) probe(ctx context.Context) (ok bool, said string) {
	addr := i.mem.Address.String()
	if i.w.Health.Path != "" {
		return probeHTTP(ctx, addr, i.w.Health.Path)
	}
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return false, ""
	}
	c.Close()
	return true, ""
}

func probeHTTP(ctx context.Context, addr, path string) (ok bool, said string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return false, "GET " + path + " is not a request"
	}
	req.Header.Set("User-Agent", "stead-health")
	t := &http.Transport{DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10}
	resp, err := t.RoundTrip(req)
	if err != nil {
		if strings.Contains(err.Error(), "refused") {
			return false, ""
		}
		return false, "GET " + path + " did not answer"
	}
	resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return true, ""
	}
	return false, fmt.Sprintf("GET %s answered %d", path, resp.StatusCode)
}

// diagnose says why an instance is not healthy: what it answered, or what it
// listens on instead of the port.
func (i *instance) diagnose(pid int, answer string, limit time.Duration) error {
	within := " within " + strconv.Itoa(int(limit.Seconds())) + " s"
	if answer != "" {
		return fmt.Errorf("%s, and never 200 to 399%s", answer, within)
	}
	didNot := fmt.Sprintf("did not bind port %d%s", i.w.Port, within)
	heard := listeners(pid)
	if len(heard) == 0 {
		return fmt.Errorf("%s", didNot)
	}
	var names []string
	for _, l := range heard[:min(len(heard), 3)] {
		names = append(names, l.String())
	}
	return fmt.Errorf("%s: it listens on %s, not on 0.0.0.0:$PORT (%d)", didNot, strings.Join(names, ", "), i.w.Port)
}

// listeners reads which addresses the processes of a pid's network namespace
// listen on.
func listeners(pid int) []netip.AddrPort {
	var out []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			fields := strings.Fields(s.Text())
			if len(fields) > 3 && fields[3] == "0A" { // TCP_LISTEN
				if a, ok := parseSocket(fields[1]); ok && !slices.Contains(out, a) {
					out = append(out, a)
				}
			}
		}
		f.Close()
	}
	return out
}

// parseSocket reads "0100007F:0BB8", an address in words of the machine's
// (little-endian) byte order and a port.
func parseSocket(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil {
		return netip.AddrPort{}, false
	}
	for n := 0; n+4 <= len(b); n += 4 {
		slices.Reverse(b[n : n+4])
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}
