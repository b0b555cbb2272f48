package cert

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Lives of what the platform signs itself. Apple's and Google's clients refuse
// leaves of more than 398 days.
const (
	rootLife = 10 * 365 * 24 * time.Hour
	LeafLife = 90 * 24 * time.Hour
)

// Authority signs certificates for hosts that no public authority vouches for.
type Authority struct {
	pair Pair
	root *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a root for the platform of that domain.
func NewAuthority(domain string, now time.Time) (*Authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	t := template("Stead authority of "+domain, now, rootLife)
	t.IsCA, t.KeyUsage, t.MaxPathLenZero = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, true
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the internal authority: %w", err)
	}
	k, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return OpenAuthority(Pair{encodeChain(der), k})
}

// OpenAuthority returns the authority that was kept as p.
func OpenAuthority(p Pair) (*Authority, error) {
	certs, err := parseChain([]byte(p.Chain))
	if err != nil {
		return nil, err
	}
	key, err := parseKey([]byte(p.Key))
	if err != nil {
		return nil, err
	}
	return &Authority{p, certs[0], key}, nil
}

// Pair returns the authority for keeping.
func (a *Authority) Pair() Pair { return a.pair }

// Root returns the root certificate, PEM, for people to trust.
func (a *Authority) Root() string { return a.pair.Chain }

// Info returns what the root says of itself.
func (a *Authority) Info() Info { return describe(a.root) }

// Sign makes a certificate with a new key for names: DNS names or addresses.
func (a *Authority) Sign(now time.Time, names ...string) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	t := template(names[0], now, LeafLife)
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, t, a.root, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate for %s: %w", names[0], err)
	}
	k, err := encodeKey(key)
	return Pair{encodeChain(der, a.root.Raw), k}, err
}

func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand never fails
	if len(name) > 64 {
		name = name[:64] // the common name's limit (X.520)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Stead"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life), BasicConstraintsValid: true}
}
