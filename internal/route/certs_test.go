package route

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// selfSigned makes a certificate that trusts itself, numbered.
func selfSigned(t testing.TB, serial int64, names ...string) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{Names: names, Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}))}
}

// startTLS is start with a TLS listener; it returns that one's address.
func startTLS(t testing.TB, edit ...func(*Config)) (*rig, string) {
	t.Helper()
	r := start(t, Limits{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.HTTPS = ln.Addr().String()
	ln.Close()
	for _, e := range edit {
		e(&r.cfg)
	}
	r.stop()
	<-r.done
	r.run(r.cfg)
	return r, r.cfg.HTTPS
}

func (r *rig) certify(c Certificates) {
	r.t.Helper()
	if err := r.client.Certify(context.Background(), &c); err != nil {
		r.t.Fatal(err)
	}
}

// shown returns the serial number of the certificate that a client gets.
func shown(addr, name string, edit ...func(*tls.Config)) (int64, error) {
	cfg := &tls.Config{ServerName: name, InsecureSkipVerify: true}
	for _, e := range edit {
		e(cfg)
	}
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestCertificateByName(t *testing.T) {
	r, addr := startTLS(t)
	if _, err := shown(addr, "a.test"); err == nil {
		t.Error("a router without certificates shook hands")
	}
	plat := selfSigned(t, 1, "stead.test", "*.stead.test")
	plat.Default = true
	r.certify(Certificates{Digest: "one", Pairs: []Pair{plat, selfSigned(t, 2, "a.test"), selfSigned(t, 3, "a.test", "*.a.test")},
		Hosts: []HostPolicy{{Host: "*.a.test", MinVersion: "1.3"}}})
	for name, want := range map[string]int64{"a.test": 2, "A.Test": 2, "x.a.test": 3, "x.y.a.test": 1, "hello.stead.test": 1, "other.test": 1, "": 1} {
		if got, err := shown(addr, name); err != nil || got != want {
			t.Errorf("%q: certificate %d, want %d (%v)", name, got, want, err)
		}
	}
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	if _, err := shown(addr, "x.a.test", old); err == nil {
		t.Error("TLS 1.2 was taken for a host that wants 1.3")
	}
	if _, err := shown(addr, "a.test", old); err != nil {
		t.Error(err)
	}
	if _, err := shown(addr, "a.test", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	bad := selfSigned(t, 9, "b.test")
	bad.Key = plat.Key
	if err := r.client.Certify(t.Context(), &Certificates{Digest: "two", Pairs: []Pair{bad}}); stead.KindOf(err) != stead.KindInvalid {
		t.Errorf("a key of another certificate: %v", err)
	}
	if st, err := r.client.Stats(t.Context()); err != nil || st.Digest != "one" {
		t.Errorf("digest %q %v", st.Digest, err)
	}
}

func TestChallenges(t *testing.T) {
	r, addr := startTLS(t)
	alpn := selfSigned(t, 7, "a.test")
	r.certify(Certificates{Pairs: []Pair{selfSigned(t, 1, "a.test")}, Hosts: []HostPolicy{{Host: "a.test", Redirect: true}},
		Challenges: []Challenge{{Host: "a.test", Token: "tok", Answer: "tok.key"}, {Host: "a.test", Pair: &alpn}}})
	if resp, body := r.get("a.test", challengePath+"tok"); resp.StatusCode != 200 || body != "tok.key" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, _ := r.get("b.test", challengePath+"tok"); resp.StatusCode != 404 {
		t.Errorf("another host's challenge: %d", resp.StatusCode)
	}
	got, err := shown(addr, "a.test", func(c *tls.Config) { c.NextProtos = []string{alpnChallenge} })
	if err != nil || got != 7 {
		t.Errorf("TLS-ALPN-01: certificate %d %v", got, err)
	}
	if _, err := shown(addr, "b.test", func(c *tls.Config) { c.NextProtos = []string{alpnChallenge} }); err == nil {
		t.Error("a challenge that is not there was answered")
	}
}

func TestRedirectAndHSTS(t *testing.T) {
	r, addr := startTLS(t, func(c *Config) { c.Trusted = nil })
	own := backendServer(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/own" {
			w.Header().Set("Strict-Transport-Security", "max-age=1")
		}
		io.WriteString(w, "ok")
	})
	r.publish(rule("a.test", own), rule("b.test", own))
	r.certify(Certificates{Pairs: []Pair{selfSigned(t, 1, "a.test")}, Hosts: []HostPolicy{{Host: "a.test", Redirect: true, HSTS: 600}}})
	resp, _ := r.get("a.test", "/x?y=1")
	_, port, _ := net.SplitHostPort(addr)
	if resp.StatusCode != 308 || resp.Header.Get("Location") != "https://a.test:"+port+"/x?y=1" {
		t.Errorf("%d %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, _ := r.get("a.test", "/", func(q *http.Request) { q.Header.Set("X-Forwarded-Proto", "https") }); resp.StatusCode != 308 {
		t.Errorf("a stranger's X-Forwarded-Proto was believed: %d", resp.StatusCode)
	}
	if resp, _ := r.get("b.test", "/"); resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"}}
		for path, want := range map[string]string{"/": "max-age=600", "/own": "max-age=1"} {
			q, _ := http.NewRequest("GET", "https://"+addr+path, nil)
			q.Host = "a.test"
			resp, err := tr.RoundTrip(q)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != want {
				t.Errorf("h2=%v %s: %q, want %q", h2, path, got, want)
			}
			resp.Body.Close()
		}
		tr.CloseIdleConnections()
	}
}

// rot13 stands for a sealer: it must be undone, and needs the same aad.
type rot13 struct{}

func (rot13) Seal(b, aad []byte) ([]byte, error) { return append(flip(b), aad...), nil }
func (rot13) Open(b, aad []byte) ([]byte, error) { return flip(b[:len(b)-len(aad)]), nil }
func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ 0x55
	}
	return out
}

// A router that starts anew serves the last certificates without being told.
func TestCertificatesOutliveTheRouter(t *testing.T) {
	r, addr := startTLS(t, func(c *Config) { c.Sealer = rot13{} })
	r.certify(Certificates{Digest: "kept", Pairs: []Pair{selfSigned(t, 5, "a.test")}})
	r.stop()
	<-r.done
	r.run(r.cfg)
	if got, err := shown(addr, "a.test"); err != nil || got != 5 {
		t.Errorf("certificate %d %v", got, err)
	}
	files, _ := os.ReadDir(r.cfg.StateDir)
	for _, f := range files {
		if b, _ := os.ReadFile(r.cfg.StateDir + "/" + f.Name()); strings.Contains(string(b), "PRIVATE KEY") {
			t.Error("a key lies open in", f.Name())
		}
	}
}

// Certificates change under load; no request is lost.
func TestZeroLossCertificates(t *testing.T) {
	r, addr := startTLS(t)
	r.publish(rule("a.test", backendServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })))
	r.certify(Certificates{Pairs: []Pair{selfSigned(t, 1, "a.test")}})
	var n, failed, newest atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			tr := &http.Transport{ForceAttemptHTTP2: w%2 == 0, DisableKeepAlives: w%4 > 1, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"}}
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				q, _ := http.NewRequest("GET", "https://"+addr+"/", nil)
				q.Host = "a.test"
				resp, err := tr.RoundTrip(q)
				if n.Add(1); err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				if b, err := io.ReadAll(resp.Body); string(b) != "ok" || err != nil {
					failed.Add(1)
				}
				resp.Body.Close()
				newest.Store(max(newest.Load(), resp.TLS.PeerCertificates[0].SerialNumber.Int64()))
			}
		})
	}
	serial := int64(1)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		serial++
		r.certify(Certificates{Pairs: []Pair{selfSigned(t, serial, "a.test")}})
	}
	wait(t, func() bool { return newest.Load() == serial })
	cancel()
	wg.Wait()
	t.Logf("requests=%d failed=%d certificates=%d", n.Load(), failed.Load(), serial)
	if failed.Load() != 0 || n.Load() < 100 {
		t.Errorf("requests=%d failed=%d", n.Load(), failed.Load())
	}
}
