// Package cert is what the control plane knows of certificates: it checks what
// people bring, signs by an authority of the platform's own, obtains from ACME
// authorities, and asks responders for OCSP answers. It keeps nothing.
package cert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// Pair is a certificate chain, the leaf first, with the leaf's key (PKCS #8);
// both PEM.
type Pair struct{ Chain, Key string }

// Info is what a certificate says of itself.
type Info struct {
	Names       []string // DNS names, lower case
	NotBefore   time.Time
	NotAfter    time.Time
	Issuer      string
	Fingerprint string // SHA-256 of the leaf, hexadecimal
	Responder   string // OCSP; "": none
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encodeChain(ders ...[]byte) string {
	var b bytes.Buffer
	for _, der := range ders {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	}
	return b.String()
}

func encodeKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encode key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// Inspect reads the leaf of a chain that was checked before.
func Inspect(chain string) (Info, error) {
	certs, err := parseChain([]byte(chain))
	if err != nil {
		return Info{}, err
	}
	return describe(certs[0]), nil
}

// Fingerprint names a certificate: SHA-256 of its DER form, hexadecimal.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func describe(c *x509.Certificate) Info {
	i := Info{NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issuer: c.Issuer.CommonName, Fingerprint: Fingerprint(c.Raw)}
	for _, n := range c.DNSNames {
		i.Names = append(i.Names, strings.ToLower(n))
	}
	if i.Issuer == "" && len(c.Issuer.Organization) > 0 {
		i.Issuer = c.Issuer.Organization[0]
	}
	if len(c.OCSPServer) > 0 {
		i.Responder = c.OCSPServer[0]
	}
	return i
}

func parseChain(b []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // some put the key into the same file
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, stead.Invalid("chain", fmt.Sprintf("certificate %d of the chain cannot be read: %v", len(out)+1, err), "give the file as the authority issued it")
		}
		if out = append(out, c); len(out) > maxChain {
			return nil, stead.Invalid("chain", "the chain has more than 10 certificates", "give the certificate and its intermediates only")
		}
	}
	if len(out) == 0 {
		return nil, stead.Invalid("chain", "there is no PEM certificate in the chain", "give a file with -----BEGIN CERTIFICATE-----; convert DER with openssl x509 -inform der")
	}
	return out, nil
}

func parseKey(b []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, stead.Invalid("key", "there is no PEM private key", "give a file with -----BEGIN PRIVATE KEY-----")
		}
		if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return nil, stead.Invalid("key", "the private key is protected by a passphrase", "take it off: openssl pkey -in key.pem -out open.pem")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // EC PARAMETERS, certificates
		}
		return decodeKey(block.Bytes)
	}
}

func decodeKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch k := k.(type) {
		case *rsa.PrivateKey:
			return k, nil
		case *ecdsa.PrivateKey:
			return k, nil
		case ed25519.PrivateKey:
			return k, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, stead.Invalid("key", "the private key cannot be read", "give an RSA, ECDSA or Ed25519 key in PEM form")
}
