package cert

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/steadpaas/stead"
)

const maxChain = 10

// Check refuses what clients would refuse: a key that is another's, a chain that
// does not hang together, dates that are over, weak keys, no names. It returns
// the pair in order, leaf first, without the root, and what it says.
func Check(chain, key string, now time.Time) (Pair, Info, error) {
	certs, err := parseChain([]byte(chain))
	if err != nil {
		return Pair{}, Info{}, err
	}
	k, err := parseKey([]byte(key))
	if err != nil {
		return Pair{}, Info{}, err
	}
	leaf, err := leafOf(certs, k)
	if err != nil {
		return Pair{}, Info{}, err
	}
	if err := checkLeaf(leaf, k, now); err != nil {
		return Pair{}, Info{}, err
	}
	ders, err := order(leaf, certs, now)
	if err != nil {
		return Pair{}, Info{}, err
	}
	out := Pair{Chain: encodeChain(ders...)}
	out.Key, err = encodeKey(k)
	return out, describe(leaf), err
}

func leafOf(certs []*x509.Certificate, k crypto.Signer) (*x509.Certificate, error) {
	pub, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	for _, c := range certs {
		if ok && pub.Equal(c.PublicKey) {
			return c, nil
		}
	}
	return nil, stead.Invalid("key", "the key does not belong to the certificate for "+title(certs[0]), "give the key that its signing request was made with")
}

func title(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

func checkLeaf(c *x509.Certificate, k crypto.Signer, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return stead.Invalid("chain", fmt.Sprintf("the certificate for %s expired on %s", title(c), c.NotAfter.UTC().Format(time.DateOnly)), "renew it with its authority first")
	case now.Before(c.NotBefore):
		return stead.Invalid("chain", fmt.Sprintf("the certificate for %s is not valid before %s", title(c), c.NotBefore.UTC().Format(time.RFC3339)), "check this machine's clock, or wait")
	case c.IsCA && len(c.DNSNames) == 0:
		return stead.Invalid("chain", "the key belongs to an authority's certificate, not to a host's", "give the certificate that was issued for the host")
	case len(c.DNSNames) == 0:
		return stead.Invalid("chain", "the certificate names no host (subject alternative names)", "have it issued with DNS names; browsers ignore the common name")
	}
	if r, ok := k.(*rsa.PrivateKey); ok && r.N.BitLen() < 2048 {
		return stead.Invalid("key", fmt.Sprintf("the RSA key has %d bits", r.N.BitLen()), "use at least 2048, or an ECDSA key")
	}
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD2WithRSA:
		return stead.Invalid("chain", "the certificate is signed with "+c.SignatureAlgorithm.String()+", which clients refuse", "have it issued anew with SHA-256")
	}
	if len(c.ExtKeyUsage) > 0 && !serves(c) {
		return stead.Invalid("chain", "the certificate is not for servers (extended key usage)", "have it issued with serverAuth")
	}
	return nil
}

func serves(c *x509.Certificate) bool {
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny {
			return true
		}
	}
	return false
}

// order follows the issuers from the leaf, whatever order they came in. The
// root is left out: who trusts it has it. What belongs to no chain is an error.
func order(leaf *x509.Certificate, certs []*x509.Certificate, now time.Time) ([][]byte, error) {
	used := map[*x509.Certificate]bool{leaf: true}
	out := [][]byte{leaf.Raw}
	for at := leaf; !selfIssued(at); {
		next := issuer(at, certs)
		if next == nil || used[next] {
			break
		}
		if now.After(next.NotAfter) {
			return nil, stead.Invalid("chain", fmt.Sprintf("the intermediate %s expired on %s", next.Subject.CommonName, next.NotAfter.UTC().Format(time.DateOnly)), "download the authority's current intermediates")
		}
		used[next] = true
		if at = next; !selfIssued(at) {
			out = append(out, at.Raw)
		}
	}
	for _, c := range certs {
		if !used[c] && !same(c, used) {
			return nil, stead.Invalid("chain", fmt.Sprintf("the certificate %q of the chain did not issue any other of it", c.Subject.CommonName), "give the certificate and the intermediates between it and the root")
		}
	}
	return out, nil
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func issuer(of *x509.Certificate, certs []*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if c != of && bytes.Equal(c.RawSubject, of.RawIssuer) && of.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// same reports whether a certificate was given twice.
func same(c *x509.Certificate, used map[*x509.Certificate]bool) bool {
	for u := range used {
		if c.Equal(u) {
			return true
		}
	}
	return false
}
