package route

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificate of the platform's domain until a public
// authority does. Its root is ca.pem in the state directory, for people to trust.
type authority struct{ leaf *tls.Certificate }

const yearish = 397 * 24 * time.Hour

// openAuthority reads the authority of the directory, or makes it, and signs a
// certificate for domain and *.domain.
func openAuthority(dir, domain string) (*authority, error) {
	root, key, err := loadRoot(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("open the internal certificate authority: %w", err)
	}
	if domain == "" {
		domain = "localhost"
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template(domain, yearish)
	t.DNSNames = []string{domain, "*." + domain}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, root, &leafKey.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the platform's certificate: %w", err)
	}
	return &authority{&tls.Certificate{Certificate: [][]byte{der, root.Raw}, PrivateKey: leafKey}}, nil
}

// certificate is for tls.Config: any name gets the platform's certificate.
func (a *authority) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.leaf, nil }

func template(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Stead"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), BasicConstraintsValid: true}
}

func loadRoot(certFile, keyFile string) (*x509.Certificate, any, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return makeRoot(certFile, keyFile)
	}
	if err != nil {
		return nil, nil, err
	}
	root, err := x509.ParseCertificate(pair.Certificate[0])
	return root, pair.PrivateKey, err
}

func makeRoot(certFile, keyFile string) (*x509.Certificate, any, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := template("Stead internal authority", 10*yearish)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, nil, err
	}
	root, err := x509.ParseCertificate(der)
	return root, key, err
}
