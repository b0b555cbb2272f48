package converge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// TestACME obtains certificates from Pebble, Let's Encrypt's test server, by
// each kind of challenge, through a real router.
func TestACME(t *testing.T) {
	pebble := buildPebble(t)
	names := startNames(t)
	for _, kind := range []string{"http-01", "tls-alpn-01", "dns-01"} {
		t.Run(kind, func(t *testing.T) {
			w := newTown(t, names)
			w.startPebble(t, pebble, kind)
			hosts := []string{"www.example.test"}
			if kind == "dns-01" {
				w.acme.DNS = names.zone()
				hosts = append(hosts, "*.wild.example.test")
			}
			for _, h := range hosts {
				w.domain(t, h)
			}
			w.run(t)
			for _, h := range hosts {
				w.await(t, h, func(c stead.Certificate) bool { return c.State == stead.CertificateReady })
				w.trusted(t, strings.Replace(h, "*", "x", 1), nil)
			}
			if kind == "dns-01" {
				w.trusted(t, "hello.stead.test", nil) // by the platform's wildcard
				if n := names.records(); n != 0 {
					t.Errorf("%d challenge records were left in the zone", n)
				}
			}
			w.renewUnderLoad(t, "www.example.test")
		})
	}
}

// A name that does not point here fails with the authority's words, and is not
// tried again at once; the host is served by the internal authority meanwhile.
func TestACMEFails(t *testing.T) {
	pebble := buildPebble(t)
	names := startNames(t)
	w := newTown(t, names)
	w.startPebble(t, pebble, "nothing reaches it")
	w.domain(t, "www.example.test")
	w.run(t)
	c := w.await(t, "www.example.test", func(c stead.Certificate) bool { return c.State == stead.CertificateFailed })
	if c.Attempts != 1 || !strings.Contains(c.Reason, "did not obtain a certificate for www.example.test") || c.NextAt == nil || !c.NextAt.After(c.UpdatedAt) {
		t.Errorf("%+v", c)
	}
	a, err := w.p.Authority(t.Context())
	check(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.Certificate))
	w.trusted(t, "www.example.test", roots)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buildPebble compiles the pinned server.
func buildPebble(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles Pebble")
	}
	bin := filepath.Join(t.TempDir(), "pebble")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	cmd.Dir = "../../parts/pebble"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build pebble: %v\n%s", err, out)
	}
	return bin
}

// town is a platform with a router, and an authority that looks at it.
type town struct {
	p      *platform.Platform
	admin  context.Context
	router *route.Client
	plain  string
	safe   string
	acme   *cert.ACME
	roots  *x509.CertPool
	names  *nameServer
	app    stead.App
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

func newTown(t *testing.T, names *nameServer) *town {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "acme")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "stead.db"))
	check(t, err)
	t.Cleanup(func() { st.Close() })
	keys, err := secret.OpenKeyRing(filepath.Join(dir, "keys"))
	check(t, err)
	w := &town{names: names, plain: free(t), safe: free(t), p: platform.New(platform.Deps{Store: st, Keys: keys, Settings: platform.Settings{Domain: "stead.test"}})}
	_, err = w.p.Bootstrap(t.Context(), "a@example.com", "correct horse battery")
	check(t, err)
	w.admin = stead.WithActor(context.Background(), stead.Actor{Email: "a@example.com", Admin: true, Scope: stead.ScopeAll})
	w.app, err = w.p.CreateApp(stead.WithActor(t.Context(), stead.System), platform.NewApp{Name: "hello"})
	check(t, err)
	socket := filepath.Join(dir, "r.sock")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- route.Serve(ctx, route.Config{HTTP: w.plain, HTTPS: w.safe, Socket: socket, StateDir: dir, Drain: time.Second})
	}()
	t.Cleanup(func() { stop(); <-done })
	w.router = route.Dial(socket)
	w.serve(t)
	return w
}

// serve routes the hosts to a back end.
func (w *town) serve(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "ok") }))
	t.Cleanup(back.Close)
	var rules []route.Rule
	for _, h := range []string{"www.example.test", "*.wild.example.test", "hello.stead.test"} {
		rules = append(rules, route.Rule{Host: h, Path: "/", Released: true, Quantity: 1,
			Backends: []route.Backend{{Instance: h, Name: "web.1", Address: back.Listener.Addr().String()}}})
	}
	for {
		err := w.router.Publish(t.Context(), &route.Table{Version: 1, Routes: rules})
		if err == nil {
			return
		}
		if stead.KindOf(err) != stead.KindUnavailable || t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *town) domain(t *testing.T, host string) {
	t.Helper()
	_, err := w.p.AddDomain(stead.WithActor(t.Context(), stead.System), "hello", host)
	check(t, err)
}

// startPebble runs the authority so that only one kind of challenge can work.
func (w *town) startPebble(t *testing.T, bin, kind string) {
	t.Helper()
	dir := t.TempDir()
	own, err := cert.NewAuthority("pebble", time.Now())
	check(t, err)
	pair, err := own.Sign(time.Now(), "127.0.0.1")
	check(t, err)
	listen, manage, dead := free(t), free(t), free(t)
	port := func(addr string, used bool) int {
		if !used {
			addr = dead
		}
		a, _ := net.ResolveTCPAddr("tcp", addr)
		return a.Port
	}
	config := map[string]any{"pebble": map[string]any{"listenAddress": listen, "managementListenAddress": manage,
		"certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": port(w.plain, kind == "http-01"), "tlsPort": port(w.safe, kind == "tls-alpn-01"), "retryAfter": map[string]int{"authz": 1, "order": 1},
		"externalAccountBindingRequired": kind == "http-01", "externalAccountMACKeys": map[string]string{"kid-1": macKey},
		"profiles": map[string]any{"default": map[string]any{"description": "x", "validityPeriod": 7776000}}}}
	text, err := json.Marshal(config)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(pair.Chain), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte(pair.Key), 0o600))
	var out strings.Builder
	cmd := exec.Command(bin, "-config", filepath.Join(dir, "config.json"), "-dnsserver", w.names.addr, "-strict")
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	w.acme = &cert.ACME{Directory: "https://" + listen + "/dir", Email: "ops@example.com", Roots: x509.NewCertPool()}
	if kind == "http-01" {
		w.acme.KeyID, w.acme.MAC = "kid-1", macKey
	}
	w.acme.Roots.AppendCertsFromPEM([]byte(own.Root()))
	w.readRoot(t, "https://"+manage)
}

const macKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

// readRoot waits for the authority and reads the root it issues by.
func (w *town) readRoot(t *testing.T, manage string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: w.acme.Roots}}}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := c.Get(manage + "/roots/0")
		if err == nil {
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			check(t, err)
			w.roots = x509.NewCertPool()
			w.roots.AppendCertsFromPEM(b)
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (w *town) run(t *testing.T) {
	loop := converge.NewCertificates(converge.CertificateDeps{Platform: w.p, Router: w.router, ACME: w.acme, Domain: "stead.test",
		Holder: "test", Tick: 200 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loop.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func (w *town) await(t *testing.T, host string, ok func(stead.Certificate) bool) stead.Certificate {
	t.Helper()
	ctx := stead.WithActor(t.Context(), stead.System)
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := w.p.Certificate(ctx, "hello", host)
		if err == nil && ok(c) {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %+v %v", host, c, err)
		}
	}
}

// trusted waits until a client that trusts the roots (nil: the authority's)
// reaches the host over TLS.
func (w *town) trusted(t *testing.T, host string, roots *x509.CertPool) {
	t.Helper()
	if roots == nil {
		roots = w.roots
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := tls.Dial("tcp", w.safe, &tls.Config{ServerName: host, RootCAs: roots})
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(host, err)
		}
	}
}

// renewUnderLoad renews a certificate while requests go on; none may fail.
func (w *town) renewUnderLoad(t *testing.T, host string) {
	t.Helper()
	before := w.await(t, host, func(stead.Certificate) bool { return true })
	var n, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%2 == 0, TLSClientConfig: &tls.Config{ServerName: host, RootCAs: w.roots}}
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				q, _ := http.NewRequest("GET", "https://"+w.safe+"/", nil)
				q.Host = host
				resp, err := tr.RoundTrip(q)
				if n.Add(1); err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				if resp.StatusCode != 200 {
					failed.Add(1)
				}
				resp.Body.Close()
			}
		})
	}
	_, err := w.p.RenewCertificate(stead.WithActor(t.Context(), stead.System), "hello", host)
	check(t, err)
	w.await(t, host, func(c stead.Certificate) bool { return c.Fingerprint != before.Fingerprint })
	stop()
	wg.Wait()
	t.Logf("requests=%d failed=%d", n.Load(), failed.Load())
	if failed.Load() != 0 || n.Load() == 0 {
		t.Errorf("requests=%d failed=%d", n.Load(), failed.Load())
	}
}

// nameServer answers for every name with this machine, and takes updates of the
// zone test., signed with its key.
type nameServer struct {
	addr string
	mu   sync.Mutex
	txt  map[string][]string
}

const tsigKey, tsigSecret = "stead.", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

func startNames(t *testing.T) *nameServer {
	t.Helper()
	n := &nameServer{txt: map[string][]string{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	n.addr = l.Addr().String()
	u, err := net.ListenPacket("udp", n.addr)
	check(t, err)
	for _, s := range []*dns.Server{{Listener: l}, {PacketConn: u}} {
		s.Handler, s.TsigSecret = n, map[string]string{tsigKey: tsigSecret}
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
	return n
}

func (n *nameServer) zone() cert.Zone {
	z := &cert.RFC2136{Server: n.addr}
	if err := z.ParseKey(fmt.Sprintf("key %q {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", tsigKey, tsigSecret)); err != nil {
		panic(err)
	}
	return z
}

func (n *nameServer) records() (sum int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.txt {
		sum += len(v)
	}
	return sum
}

// ServeDNS implements dns.Handler.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := new(dns.Msg)
	a.SetReply(q)
	switch name := q.Question[0].Name; {
	case q.Opcode == dns.OpcodeUpdate:
		if q.IsTsig() == nil || w.TsigStatus() != nil || name != "test." {
			a.Rcode = dns.RcodeRefused
			break
		}
		n.update(q.Ns)
		a.SetTsig(tsigKey, dns.HmacSHA256, 300, time.Now().Unix())
	case q.Question[0].Qtype == dns.TypeSOA && name == "test.":
		a.Answer = append(a.Answer, &dns.SOA{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.test.", Mbox: "x.test."})
	case q.Question[0].Qtype == dns.TypeTXT:
		for _, v := range n.txt[strings.ToLower(name)] {
			a.Answer = append(a.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{v}})
		}
	case q.Question[0].Qtype == dns.TypeA:
		a.Answer = append(a.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
	}
	w.WriteMsg(a)
}

func (n *nameServer) update(rrs []dns.RR) {
	for _, rr := range rrs {
		t, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		name, v := strings.ToLower(t.Hdr.Name), strings.Join(t.Txt, "")
		if t.Hdr.Class == dns.ClassINET {
			n.txt[name] = append(n.txt[name], v)
			continue
		}
		var kept []string
		for _, have := range n.txt[name] {
			if have != v {
				kept = append(kept, have)
			}
		}
		n.txt[name] = kept
	}
}
