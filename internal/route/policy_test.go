package route

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/steadpaas/stead"
)

// named answers with a name.
func named(t testing.TB, name string) string {
	return backendServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

func with(r Rule, p stead.RoutePolicy) Rule { r.Policy = &p; return r }

func header(name, value string) func(*http.Request) {
	return func(q *http.Request) { q.Header.Set(name, value) }
}

func TestRefusals(t *testing.T) {
	r := start(t, Limits{})
	a := named(t, "in")
	hash, err := bcrypt.GenerateFromPassword([]byte("opensesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	closed := with(rule("basic.test", a), stead.RoutePolicy{BasicAuth: []stead.Credential{{User: "ann"}}})
	closed.Passwords = map[string]string{"ann": string(hash)}
	unset := with(rule("unset.test", a), stead.RoutePolicy{BasicAuth: []stead.Credential{{User: "ann"}}})
	move := with(rule("move.test"), stead.RoutePolicy{Redirect: &stead.Redirect{URL: "https://new.test{path}", Status: 308}})
	sub := with(rule("sub.test"), stead.RoutePolicy{Redirect: &stead.Redirect{URL: "/new{path}"}})
	sub.Path = "/old"
	r.publish(closed, unset, move, sub,
		with(rule("deny.test", a), stead.RoutePolicy{Deny: []string{"127.0.0.0/8"}}),
		with(rule("allow.test", a), stead.RoutePolicy{Allow: []string{"127.0.0.1"}}),
		with(rule("other.test", a), stead.RoutePolicy{Allow: []string{"192.0.2.0/24"}}),
		with(rule("rate.test", a), stead.RoutePolicy{Rate: &stead.Rate{Requests: 2, Per: 60}}),
		with(rule("key.test", a), stead.RoutePolicy{Rate: &stead.Rate{Requests: 1, Per: 60, By: "header X-Key"}}),
		with(rule("head.test", a), stead.RoutePolicy{MaxHead: 1024}),
		with(rule("body.test", a), stead.RoutePolicy{MaxBody: 10}))
	for _, c := range []struct {
		host, path string
		edit       func(*http.Request)
		status     int
		code       string
	}{
		{"deny.test", "/", nil, 403, "S11"},
		{"allow.test", "/", nil, 200, ""},
		{"other.test", "/", header("X-Forwarded-For", "192.0.2.7"), 403, "S11"}, // a stranger's word
		{"basic.test", "/", nil, 401, "S12"},
		{"basic.test", "/", func(q *http.Request) { q.SetBasicAuth("ann", "wrong") }, 401, "S12"},
		{"basic.test", "/", func(q *http.Request) { q.SetBasicAuth("bob", "opensesame") }, 401, "S12"},
		{"basic.test", "/", func(q *http.Request) { q.SetBasicAuth("ann", "opensesame") }, 200, ""},
		{"basic.test", "/", func(q *http.Request) { q.SetBasicAuth("ann", "opensesame") }, 200, ""},
		{"unset.test", "/", func(q *http.Request) { q.SetBasicAuth("ann", "") }, 401, "S12"},
		{"rate.test", "/", nil, 200, ""}, {"rate.test", "/", nil, 200, ""}, {"rate.test", "/", nil, 429, "S10"},
		{"key.test", "/", header("X-Key", "1"), 200, ""}, {"key.test", "/", header("X-Key", "2"), 200, ""},
		{"key.test", "/", header("X-Key", "1"), 429, "S10"}, {"key.test", "/", nil, 200, ""}, {"key.test", "/", nil, 429, "S10"},
		{"head.test", "/", header("X-Long", strings.Repeat("x", 1000)), 431, "S14"},
		{"head.test", "/", nil, 200, ""},
		{"move.test", "/x?y=1", nil, 308, ""},
		{"sub.test", "/old/page", nil, 302, ""},
	} {
		edit := c.edit
		if edit == nil {
			edit = func(*http.Request) {}
		}
		resp, _ := r.get(c.host, c.path, edit)
		if resp.StatusCode != c.status || resp.Header.Get("X-Stead-Error") != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.host, resp.StatusCode, resp.Header.Get("X-Stead-Error"), c.status, c.code)
		}
		if wait := resp.Header.Get("Retry-After"); c.status == 429 && (wait == "" || wait == "0") {
			t.Errorf("%s: Retry-After %q", c.host, wait)
		}
		want := map[string]string{"move.test": "https://new.test/x?y=1", "sub.test": "/new/page"}[c.host]
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("%s: Location %q", c.host, got)
		}
	}
	for _, chunked := range []bool{false, true} {
		for size, want := range map[int]int{10: 200, 40_000: 413} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", size))
			if chunked {
				body = io.MultiReader(body)
			}
			req, _ := http.NewRequest("POST", "http://"+r.addr+"/", body)
			req.Host = "body.test"
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if chunked && want == 413 && resp.StatusCode == 200 {
				continue // the instance answered before it had read all
			}
			if resp.StatusCode != want {
				t.Errorf("body of %d, chunked %v: %d", size, chunked, resp.StatusCode)
			}
		}
	}
}

func TestShares(t *testing.T) {
	r := start(t, Limits{})
	x := rule("a.test")
	x.Quantity = 2
	x.Destinations = []Destination{
		{Process: "web", Weight: 90, Backends: []Backend{{Instance: "w1", Name: "web.1", Address: named(t, "web")}}},
		{Process: "canary", Weight: 10, Pin: "header X-Canary=yes", Backends: []Backend{{Instance: "c1", Name: "canary.1", Address: named(t, "canary")}}},
		{Process: "beta", Weight: 0, Pin: "cookie beta=1", Backends: []Backend{{Instance: "b1", Name: "beta.1", Address: named(t, "beta")}}}}
	r.publish(x)
	n := map[string]int{}
	for range 1000 {
		_, body := r.get("a.test", "/")
		n[body]++
	}
	if n["canary"] < 50 || n["canary"] > 160 || n["beta"] != 0 || n["web"]+n["canary"] != 1000 {
		t.Errorf("of 1000, weights 90 and 10: %v", n)
	}
	for range 20 {
		if _, body := r.get("a.test", "/", header("X-Canary", "yes")); body != "canary" {
			t.Errorf("pinned by header: %s", body)
		}
		if _, body := r.get("a.test", "/", header("Cookie", "x=2; beta=1")); body != "beta" {
			t.Errorf("pinned by cookie: %s", body)
		}
	}
	x.Destinations[1].Backends = nil // the canary has crashed
	r.publish(x)
	if _, body := r.get("a.test", "/", header("X-Canary", "yes")); body != "web" {
		t.Errorf("no canary: %s", body)
	}
}

func TestSticky(t *testing.T) {
	r := start(t, Limits{})
	var addrs []string
	for i := range 4 {
		addrs = append(addrs, named(t, fmt.Sprint("i", i)))
	}
	x := with(rule("a.test", addrs...), stead.RoutePolicy{Sticky: true})
	r.publish(x)
	resp, home := r.get("a.test", "/")
	cookie := resp.Cookies()[0]
	if cookie.Name != stickyCookie || !cookie.HttpOnly || strings.Contains(cookie.Value, "a.test") {
		t.Fatalf("cookie %v", cookie)
	}
	stays := func(where string) {
		t.Helper()
		for range 30 {
			resp, body := r.get("a.test", "/", func(q *http.Request) { q.AddCookie(cookie) })
			if body != where || len(resp.Cookies()) != 0 {
				t.Fatalf("at %s, not %s; cookies %v", body, where, resp.Cookies())
			}
		}
	}
	stays(home)
	more := with(rule("a.test", append(addrs, named(t, "i4"))...), stead.RoutePolicy{Sticky: true})
	r.publish(more)
	stays(home) // scaled up
	before, end := r.done, r.stop
	r.run(r.cfg)
	<-before
	end()
	stays(home) // another router
	gone := more
	gone.Backends = nil
	for i, b := range more.Backends {
		if fmt.Sprint("i", i) != home {
			gone.Backends = append(gone.Backends, b)
		}
	}
	r.publish(gone)
	resp, body := r.get("a.test", "/", func(q *http.Request) { q.AddCookie(cookie) })
	if body == home || len(resp.Cookies()) != 1 {
		t.Errorf("its instance is gone: %s %v", body, resp.Cookies())
	}
	forged := *cookie
	forged.Value = gone.Backends[0].Instance
	if resp, _ := r.get("a.test", "/", func(q *http.Request) { q.AddCookie(&forged) }); len(resp.Cookies()) != 1 {
		t.Error("a made-up cookie was believed")
	}
}

func TestConcurrency(t *testing.T) {
	r := start(t, Limits{})
	var at, most atomic.Int64
	open := make(chan struct{})
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		n := at.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-open
		at.Add(-1)
	})
	x := with(rule("a.test", a), stead.RoutePolicy{Concurrency: 2, Queue: 3, QueueTime: 30})
	r.publish(x)
	var wg sync.WaitGroup
	var status [600]atomic.Int64
	for range 10 {
		wg.Go(func() {
			resp, _ := r.get("a.test", "/")
			status[resp.StatusCode].Add(1)
		})
	}
	wait(t, func() bool { return status[503].Load() == 5 }) // two run, three wait, five are too many
	close(open)
	wg.Wait()
	if most.Load() != 2 || status[200].Load() != 5 {
		t.Errorf("at once %d, served %d, refused %d", most.Load(), status[200].Load(), status[503].Load())
	}
	if resp, _ := r.get("a.test", "/"); resp.StatusCode != 200 {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
	most.Store(0)
	var failed atomic.Int64
	x.Policy.Queue = 100
	r.publish(x)
	for range 50 {
		wg.Go(func() {
			if resp, _ := r.get("a.test", "/"); resp.StatusCode != 200 {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 || failed.Load() > 0 {
		t.Errorf("at once %d, failed %d", most.Load(), failed.Load())
	}
}

func TestQueueTime(t *testing.T) {
	r := start(t, Limits{})
	open := make(chan struct{})
	entered := make(chan struct{}, 10)
	a := backendServer(t, func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-open })
	r.publish(with(rule("a.test", a), stead.RoutePolicy{Concurrency: 1, Queue: 10, QueueTime: 1}))
	var wg sync.WaitGroup
	wg.Go(func() { r.get("a.test", "/") })
	<-entered
	resp, _ := r.get("a.test", "/")
	if resp.StatusCode != 503 || resp.Header.Get("X-Stead-Error") != "H11" {
		t.Errorf("waited too long: %d %v", resp.StatusCode, resp.Header)
	}
	close(open)
	wg.Wait()
}

func TestEjection(t *testing.T) {
	a, b := &backend{Backend: Backend{Instance: "a"}}, &backend{Backend: Backend{Instance: "b"}}
	set := []*backend{a, b}
	a.eject(0)
	count := func(at int64, n int) (picked int) {
		for range n {
			x := pickOf(set, 0, at, nil)
			if x == a {
				picked++
			}
			x.done()
		}
		return picked
	}
	if n := count(int64(ejectFirst)-1, 1000); n != 0 {
		t.Errorf("ejected, picked %d times", n)
	}
	at := int64(ejectFirst)
	if n := count(at, 1000); n > 1 {
		t.Errorf("half-open, picked %d times", n)
	}
	if n := count(at+int64(probeGap)+1, 1000); n > 1 {
		t.Errorf("half-open again, picked %d times", n)
	}
	a.well()
	if n := count(at, 1000); n < 300 {
		t.Errorf("well, picked %d times of 1000", n)
	}
	for i := range 2 * brokenLimit {
		if out := a.ejected.Load() != 0; out != (i >= brokenLimit) {
			t.Errorf("after %d breaks: ejected %v", i, out)
		}
		a.broke(at)
	}
	b.eject(at)
	if x := pickOf(set, 0, at, nil); x == nil {
		t.Error("all ejected: none tried")
	}
	b.retire()
	if x := pickOf([]*backend{b}, 0, at, nil); x != nil {
		t.Error("a retired backend was picked")
	}
}

// TestPickSees has each usable backend found among many that are not.
func TestPickSees(t *testing.T) {
	for n := 1; n < 8; n++ {
		for good := range n {
			set := make([]*backend, n)
			for i := range set {
				if set[i] = (&backend{}); i != good {
					set[i].inflight.Store(1)
				}
			}
			for range 50 {
				x := pickOf(set, 1, 0, nil)
				if x != set[good] {
					t.Fatalf("%d of %d not found", good, n)
				}
				x.done()
			}
		}
	}
}

func TestRouteTimes(t *testing.T) {
	r := start(t, Limits{FirstByte: 50 * time.Millisecond, Sweep: 10 * time.Millisecond})
	open := make(chan struct{})
	a := backendServer(t, func(w http.ResponseWriter, _ *http.Request) { <-open })
	r.publish(with(rule("long.test", a), stead.RoutePolicy{FirstByte: 30}), rule("a.test", a))
	done := make(chan int, 1)
	go func() { resp, _ := r.get("long.test", "/"); done <- resp.StatusCode }()
	resp, _ := r.get("a.test", "/")
	if resp.Header.Get("X-Stead-Error") != "H12" {
		t.Errorf("the router's limit: %v", resp.Header)
	}
	close(open)
	if status := <-done; status != 200 {
		t.Errorf("the route's limit: %d", status)
	}
}

func TestPages(t *testing.T) {
	r := start(t, Limits{})
	down, none := rule("down.test"), rule("none.test")
	down.Maintenance, down.App, none.App = true, "1", "1"
	err := r.client.Publish(t.Context(), &Table{Version: versions.Add(1), Routes: []Rule{down, none, with(rule("no.test"), stead.RoutePolicy{Deny: []string{"0.0.0.0/0"}})},
		Pages: map[stead.ID]stead.Pages{"1": {Maintenance: "<p>back soon", Error: "<p>oh: {{code}} {{request_id}}"}}})
	if err != nil {
		t.Fatal(err)
	}
	id := "0123456789-0123456789-<"
	if resp, body := r.get("down.test", "/"); body != "<p>back soon" || resp.StatusCode != 503 {
		t.Errorf("maintenance: %q", body)
	}
	id = "01234567890123456789"
	if _, body := r.get("none.test", "/", header("X-Request-Id", id)); body != "<p>oh: H14 "+id {
		t.Errorf("error: %q", body)
	}
	if _, body := r.get("none.test", "/", header("Accept", "application/json")); !strings.Contains(body, `"code":"H14"`) {
		t.Errorf("for programs: %q", body)
	}
	if _, body := r.get("no.test", "/"); !strings.Contains(body, "S11") {
		t.Errorf("not the app's: %q", body)
	}
}

// TestWake plays the control plane that starts an app when it is wanted.
func TestWake(t *testing.T) {
	r := start(t, Limits{})
	asleep := rule("a.test")
	asleep.Wake, asleep.App = true, "app"
	r.publish(asleep)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan Wanted, 16)
	go func() {
		for w, err := range r.client.Wanted(ctx) {
			if err != nil {
				return
			}
			asked <- w
		}
	}()
	var wg sync.WaitGroup
	var ok atomic.Int64
	for range 20 {
		wg.Go(func() {
			if _, body := r.get("a.test", "/"); body == "awake" {
				ok.Add(1)
			}
		})
	}
	w := <-asked
	for w.Waiting < 20 { // told again while it lasts
		w = <-asked
	}
	if w.App != "app" || time.Since(w.Since) > time.Minute {
		t.Errorf("wanted %+v", w)
	}
	up := rule("a.test", named(t, "awake"))
	up.Wake, up.App = true, "app"
	r.publish(up)
	wg.Wait()
	if ok.Load() != 20 {
		t.Errorf("%d of 20 held requests were served", ok.Load())
	}
	a, err := r.client.Activity(ctx)
	if err != nil || time.Since(a["app"].Last) > time.Minute || a["app"].Inflight != 0 {
		t.Errorf("activity %+v %v", a, err)
	}
}

func TestWakeBounds(t *testing.T) {
	r := start(t, Limits{Wake: 50 * time.Millisecond})
	asleep := rule("a.test")
	asleep.Wake, asleep.App = true, "app"
	r.publish(asleep)
	if resp, _ := r.get("a.test", "/"); resp.Header.Get("X-Stead-Error") != "H20" {
		t.Errorf("nobody woke it: %v", resp.Header)
	}
	w := newWants()
	for i := range maxWaking + 1 {
		if got := w.enter("a", 1); got != (i < maxWaking) {
			t.Fatalf("request %d held: %v", i, got)
		}
	}
	if !w.enter("b", 1) {
		t.Error("another app's request was not held")
	}
}

func TestTrueClient(t *testing.T) {
	k := newCore(Config{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}.orDefaults())
	for in, want := range map[string]string{
		"":                                        "127.0.0.1",
		"X-Forwarded-For: 1.1.1.1\r\n":            "1.1.1.1",
		"X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n":   "1.1.1.1",
		"X-Forwarded-For: 1.1.1.1, 10.0.0.9\r\n":  "1.1.1.1",
		"X-Forwarded-For: 10.0.0.8, 10.0.0.9\r\n": "10.0.0.8",
		"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n": "1.1.1.1",
		"X-Forwarded-For: 6.6.6.6, junk\r\n":                       "127.0.0.1",
		"X_Forwarded_For: 6.6.6.6\r\n":                             "127.0.0.1",
		"X-Forwarded-For: 2001:db8::1\r\n":                         "2001:db8::1",
	} {
		c := &conn{core: k, remote: "127.0.0.1", trust: true}
		if err := c.req.parseRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\n" + in + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if got := c.client().String(); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		c.trust = false
		if got := c.client().String(); got != "127.0.0.1" {
			t.Errorf("stranger's %q: %s", in, got)
		}
	}
}

// TestReusedAddress gives an address to another app on purpose: while a table
// without the old instance is served, no connection that was begun before it may
// carry a request.
func TestReusedAddress(t *testing.T) {
	k := newCore(Config{}.orDefaults())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	publish := func(v int64, r ...Rule) {
		if err := k.publish(&Table{Version: v, Routes: r}); err != nil {
			t.Fatal(err)
		}
	}
	publish(1, rule("a.test", addr))
	b := k.table.Load().find([]byte("a.test"), []byte("/")).backends[0]
	u, err := b.connect(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	b.give(u, now())
	publish(2, rule("b.test", addr))
	if _, err := b.connect(t.Context(), time.Second); err != errRetired {
		t.Errorf("connecting for a retired instance: %v", err)
	}
	if b.acquire(0) {
		t.Error("a retired instance took a request")
	}
	other := k.table.Load().find([]byte("b.test"), []byte("/")).backends[0]
	if other == b || other.take(now(), false) != nil {
		t.Error("the new instance got the old one's connection")
	}
	b.give(&upstream{Conn: u.Conn, b: b}, now())
	if b.take(now(), false) != nil {
		t.Error("a retired instance keeps connections")
	}
}

// TestLogEvery counts access lines: one for so many good requests, one for each
// that went wrong.
func TestLogEvery(t *testing.T) {
	r := start(t, Limits{})
	a := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r.publish(with(rule("a.test", a), stead.RoutePolicy{LogEvery: 5}))
	for range 10 {
		r.get("a.test", "/good")
	}
	r.get("a.test", "/bad")
	r.get("a.test", "/bad")
	var paths []string
	for l, err := range r.client.Lines(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		_, path, _ := strings.Cut(l.Text, ` path="`)
		path, _, _ = strings.Cut(path, `"`)
		if paths = append(paths, path); len(paths) == 4 {
			break
		}
	}
	if got := strings.Join(paths, " "); got != "/good /good /bad /bad" {
		t.Errorf("lines of %s", got)
	}
}
