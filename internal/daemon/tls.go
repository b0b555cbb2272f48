package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/converge"
	"github.com/steadpaas/stead/internal/secret"
)

// Directories of Let's Encrypt (letsencrypt.org/docs/acme-protocol-updates).
var directories = map[string]string{
	"letsencrypt":         "https://acme-v02.api.letsencrypt.org/directory",
	"letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}

func (c *Config) checkTLS() error {
	if c.TLSMin != "1.2" && c.TLSMin != "1.3" {
		return stead.Invalid("tls-min", fmt.Sprintf("%q is no TLS version that can be asked for", c.TLSMin), "use 1.2 or 1.3")
	}
	if c.APITLS != "on" && c.APITLS != "off" {
		return stead.Invalid("api-tls", fmt.Sprintf("STEAD_API_TLS is %q", c.APITLS), "use on or off")
	}
	if u, err := url.Parse(c.directory()); c.ACME != "off" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return stead.Invalid("acme", fmt.Sprintf("%q is no ACME authority", c.ACME), "use letsencrypt, the https URL of a directory, or off")
	}
	if _, _, err := net.SplitHostPort(c.ACMEDNS); c.ACMEDNS != "" && err != nil {
		return stead.Invalid("acme-dns", fmt.Sprintf("%q is not an address", c.ACMEDNS), "write host:port, such as ns1.example.com:53")
	}
	return nil
}

func (c *Config) directory() string {
	if u, ok := directories[c.ACME]; ok {
		return u
	}
	return c.ACME
}

// acme is the authority of the settings; nil: none.
func (c *Config) acme() (*cert.ACME, error) {
	if c.ACME == "off" {
		return nil, nil
	}
	a := &cert.ACME{Directory: c.directory(), Email: c.ACMEEmail, Agent: "Stead/" + Version}
	if c.ACMEEAB != "" {
		text, err := readSetting("acme-eab", c.ACMEEAB)
		if err != nil {
			return nil, err
		}
		f := strings.Fields(text)
		if len(f) != 2 {
			return nil, stead.Invalid("acme-eab", c.ACMEEAB+" does not hold a key id and a MAC key", "write both into it, separated by a space")
		}
		a.KeyID, a.MAC = f[0], f[1]
	}
	if c.ACMECA != "" {
		text, err := readSetting("acme-ca", c.ACMECA)
		if err != nil {
			return nil, err
		}
		if a.Roots = x509.NewCertPool(); !a.Roots.AppendCertsFromPEM([]byte(text)) {
			return nil, stead.Invalid("acme-ca", c.ACMECA+" holds no PEM certificate", "give the root of the authority's directory")
		}
	}
	zone, err := c.acmeZone()
	if zone != nil {
		a.DNS = zone
	}
	return a, err
}

func (c *Config) acmeZone() (*cert.RFC2136, error) {
	if c.ACMEDNS == "" {
		return nil, nil
	}
	z := &cert.RFC2136{Server: c.ACMEDNS}
	if c.ACMEDNSKey == "" {
		return z, nil
	}
	text, err := readSetting("acme-dns-key", c.ACMEDNSKey)
	if err != nil {
		return nil, err
	}
	return z, z.ParseKey(text)
}

func readSetting(name, path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", stead.Invalid(name, fmt.Sprintf("%s cannot be read: %v", variable(name), err), "give the path of a file that steadd can read")
	}
	return string(b), nil
}

// certificates wires the loop that keeps the router's certificates.
func (h *house) certificates() (*converge.Certificates, error) {
	acme, err := h.c.acme()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return converge.NewCertificates(converge.CertificateDeps{Platform: h.p, Router: h.router, ACME: acme, Domain: h.c.Domain,
		APINames: h.c.apiNames(), MinVersion: h.c.TLSMin, Holder: fmt.Sprintf("%s/%d", host, os.Getpid()), Shared: h.c.Database != "",
		Logger: h.log}), nil
}

// apiNames lists what people may call the API's listener, its public name first.
func (c *Config) apiNames() (names []string) {
	add := func(n string) {
		for _, have := range names {
			if have == n {
				return
			}
		}
		if n != "" {
			names = append(names, n)
		}
	}
	if u, err := url.Parse(c.apiURL()); err == nil {
		add(u.Hostname())
	}
	if host, _, err := net.SplitHostPort(reachable(c.API)); err == nil {
		add(host)
	}
	for _, n := range []string{"localhost", "127.0.0.1", "::1"} {
		add(n)
	}
	if host, err := os.Hostname(); err == nil && stead.CheckHost("", strings.ToLower(host)) == nil {
		add(strings.ToLower(host))
	}
	return names
}

// apiTLS is for the API's listener; nil: it is plain.
func (h *house) apiTLS() *tls.Config {
	if h.c.APITLS != "on" {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: h.certs.GetCertificate}
}

// routerKeys opens the router's own key ring, which seals what it keeps for its
// restart. The platform's master keys are not for the router to read.
func (c *Config) routerKeys() (*secret.KeyRing, error) {
	if err := os.MkdirAll(c.path("router"), 0o700); err != nil {
		return nil, fmt.Errorf("make the router's state directory: %w", err)
	}
	return secret.OpenKeyRing(c.path("router", "keys"))
}
