package cert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/steadpaas/stead"
)

var at = time.Now()

// made is a certificate with its key, for building chains.
type made struct {
	c   *x509.Certificate
	key *ecdsa.PrivateKey
}

func (m made) pem() string { return encodeChain(m.c.Raw) }
func (m made) keyPEM(t *testing.T) string {
	k, err := encodeKey(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func issue(t *testing.T, by *made, name string, edit ...func(*x509.Certificate)) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(at.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: at.Add(-time.Hour),
		NotAfter: at.Add(time.Hour), BasicConstraintsValid: true}
	if strings.Contains(name, ".") {
		c.DNSNames = []string{name}
	} else {
		c.IsCA = true
	}
	for _, e := range edit {
		e(c)
	}
	m := made{c, key}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.c, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err == nil {
		m.c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheck(t *testing.T) {
	root := issue(t, nil, "Root")
	middle := issue(t, &root, "Middle")
	leaf := issue(t, &middle, "www.example.com")
	other := issue(t, nil, "other.example.com")
	old := issue(t, &middle, "old.example.com", func(c *x509.Certificate) { c.NotAfter = at.Add(-time.Minute) })
	early := issue(t, &middle, "early.example.com", func(c *x509.Certificate) { c.NotBefore = at.Add(time.Minute) })
	nameless := issue(t, &middle, "www.example.com", func(c *x509.Certificate) { c.DNSNames = nil })
	client := issue(t, &middle, "c.example.com", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	stale := issue(t, &root, "Stale", func(c *x509.Certificate) { c.NotAfter = at.Add(-time.Minute) })
	below := issue(t, &stale, "below.example.com")
	want := leaf.pem() + middle.pem()
	for name, chain := range map[string]string{"in order": want, "reversed": root.pem() + middle.pem() + leaf.pem(), "doubled": leaf.pem() + leaf.pem() + middle.pem(),
		"with the key": leaf.keyPEM(t) + want} {
		p, info, err := Check(chain, leaf.keyPEM(t), at)
		if err != nil || p.Chain != want || len(info.Names) != 1 || info.Names[0] != "www.example.com" || info.Issuer != "Middle" {
			t.Errorf("%s: %+v %v", name, info, err)
		}
	}
	for name, c := range map[string]struct{ chain, key, says string }{
		"nothing":        {"", leaf.keyPEM(t), "no PEM certificate"},
		"no key":         {want, "", "no PEM private key"},
		"another's key":  {want, other.keyPEM(t), "does not belong"},
		"expired":        {old.pem() + middle.pem(), old.keyPEM(t), "expired on"},
		"not yet":        {early.pem() + middle.pem(), early.keyPEM(t), "not valid before"},
		"no names":       {nameless.pem(), nameless.keyPEM(t), "names no host"},
		"a client's":     {client.pem(), client.keyPEM(t), "not for servers"},
		"an authority's": {middle.pem(), middle.keyPEM(t), "authority's"},
		"a stranger":     {want + other.pem(), leaf.keyPEM(t), "did not issue"},
		"a stale middle": {below.pem() + stale.pem(), below.keyPEM(t), "intermediate Stale expired"},
		"damaged":        {strings.Replace(want, "MII", "AAA", 1), leaf.keyPEM(t), "cannot be read"},
		"a passphrase":   {want, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "passphrase"},
	} {
		_, _, err := Check(c.chain, c.key, at)
		if stead.KindOf(err) != stead.KindInvalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestWeakKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no such keys:", err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotBefore: at.Add(-time.Hour), NotAfter: at.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Skip("this Go signs with no such keys:", err)
	}
	k, _ := encodeKey(key)
	if _, _, err := Check(encodeChain(der), k, at); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Error(err)
	}
}

func TestAuthority(t *testing.T) {
	a, err := NewAuthority("stead.test", at)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = OpenAuthority(a.Pair()); err != nil {
		t.Fatal(err)
	}
	p, err := a.Sign(at, "*.stead.test", "stead.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(a.Root()))
	chain, err := parseChain([]byte(p.Chain))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello.stead.test", "stead.test", "127.0.0.1"} {
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(name, err)
		}
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: "a.b.stead.test"}); err == nil {
		t.Error("the wildcard covers two labels")
	}
	if _, _, err := Check(p.Chain, p.Key, at); err != nil {
		t.Error(err)
	}
}

func TestResponder(t *testing.T) {
	status := ocsp.Good
	var root, leaf made
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		der, err := ocsp.CreateResponse(root.c, root.c, ocsp.Response{Status: status, SerialNumber: leaf.c.SerialNumber, ThisUpdate: at.Add(-time.Hour), NextUpdate: at.Add(time.Hour * 9)}, root.key)
		if err != nil {
			t.Error(err)
		}
		w.Write(der)
	}))
	defer srv.Close()
	root = issue(t, nil, "Root")
	leaf = issue(t, &root, "www.example.com", func(c *x509.Certificate) { c.OCSPServer = []string{srv.URL} })
	chain := leaf.pem() + root.pem()
	if _, err := (Responders{}).Ask(t.Context(), chain, at); err == nil || !strings.Contains(err.Error(), "not a public address") {
		t.Errorf("a responder on this machine was asked: %v", err)
	}
	r := Responders{Client: srv.Client()}
	s, err := r.Ask(t.Context(), chain, at)
	if err != nil || s == nil || !s.Good || !s.Refresh.After(at.Add(3*time.Hour)) || s.Refresh.After(at.Add(5*time.Hour)) {
		t.Fatalf("%+v %v", s, err)
	}
	status = ocsp.Revoked
	if s, err = r.Ask(t.Context(), chain, at); err != nil || s.Good {
		t.Errorf("revoked: %+v %v", s, err)
	}
	if s, err = r.Ask(context.Background(), root.pem(), at); s != nil || err != nil {
		t.Errorf("without a responder: %+v %v", s, err)
	}
}
