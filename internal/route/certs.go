package route

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// Certificates is all that the router knows about TLS. Like a Table it is built
// once, swapped whole, and never changed; connections that are open go on.
type Certificates struct {
	Digest     string       `json:"digest"`                // names this set; shown in Stats
	MinVersion string       `json:"min_version,omitempty"` // "1.2" (the default) or "1.3", for every host
	Pairs      []Pair       `json:"pairs"`                 // of two for one name the first is used
	Challenges []Challenge  `json:"challenges,omitempty"`  // that authorities are about to ask for
	Hosts      []HostPolicy `json:"hosts,omitempty"`
}

// Pair is a certificate with its key.
type Pair struct {
	Names   []string `json:"names"`             // lower case; "*.example.com" matches one label
	Chain   string   `json:"chain"`             // PEM, the leaf first
	Key     string   `json:"key"`               // PEM, PKCS #8
	Staple  []byte   `json:"staple,omitempty"`  // an OCSP answer, DER
	Default bool     `json:"default,omitempty"` // for clients that ask for no name, or for one that no pair has
}

// Challenge is what an ACME authority looks for to believe that a host is ours.
type Challenge struct {
	Host   string `json:"host"`
	Token  string `json:"token,omitempty"`  // HTTP-01: last segment of the path
	Answer string `json:"answer,omitempty"` // HTTP-01: the body
	Pair   *Pair  `json:"pair,omitempty"`   // TLS-ALPN-01: the certificate to show
}

// HostPolicy is how a host wants to be reached.
type HostPolicy struct {
	Host       string `json:"host"` // "*.example.com" matches one label
	Redirect   bool   `json:"redirect,omitempty"`
	HSTS       int64  `json:"hsts,omitempty"` // seconds; 0: no such header
	MinVersion string `json:"min_version,omitempty"`
}

// alpnChallenge is the protocol of TLS-ALPN-01 (RFC 8737, section 6.2).
const alpnChallenge = "acme-tls/1"

// shelf is a set of certificates compiled for serving. It is never changed.
type shelf struct {
	digest    string
	pairs     map[string]*tls.Certificate
	fallback  *tls.Certificate
	alpn      map[string]*tls.Certificate
	answers   map[string]string // by host + "/" + token
	hosts     map[string]*hostRule
	plain     *tls.Config // TLS 1.2 and up
	strict    *tls.Config // TLS 1.3 and up
	allStrict bool
}

// hostRule is a HostPolicy ready to be used.
type hostRule struct {
	redirect bool
	strict   bool
	hsts     []byte // the whole header line; nil: none
}

func newShelf(c *Certificates) (*shelf, error) {
	s := &shelf{digest: c.Digest, pairs: map[string]*tls.Certificate{}, alpn: map[string]*tls.Certificate{},
		answers: map[string]string{}, hosts: map[string]*hostRule{}}
	strict, err := isStrict(c.MinVersion)
	if err != nil {
		return nil, err
	}
	s.allStrict = strict
	for i := range c.Pairs {
		if err := s.addPair(&c.Pairs[i]); err != nil {
			return nil, err
		}
	}
	for _, ch := range c.Challenges {
		if err := s.addChallenge(ch); err != nil {
			return nil, err
		}
	}
	for _, h := range c.Hosts {
		if err := s.addHost(h); err != nil {
			return nil, err
		}
	}
	s.plain = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.certificate}
	s.strict = s.plain.Clone()
	s.strict.MinVersion = tls.VersionTLS13
	return s, nil
}

func isStrict(v string) (bool, error) {
	switch v {
	case "", "1.2":
		return false, nil
	case "1.3":
		return true, nil
	}
	return false, stead.Invalid("min_version", fmt.Sprintf("%q is not a TLS version that can be asked for", v), "use 1.2 or 1.3")
}

func (p *Pair) load() (*tls.Certificate, error) {
	c, err := tls.X509KeyPair([]byte(p.Chain), []byte(p.Key))
	if err != nil {
		return nil, stead.Invalid("pairs", fmt.Sprintf("the certificate for %v cannot be used: %v", p.Names, err), "give a PEM chain with its key")
	}
	c.OCSPStaple = p.Staple
	return &c, nil
}

func (s *shelf) addPair(p *Pair) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	for _, n := range p.Names {
		if s.pairs[n] == nil {
			s.pairs[n] = c
		}
	}
	if p.Default && s.fallback == nil {
		s.fallback = c
	}
	return nil
}

func (s *shelf) addChallenge(ch Challenge) error {
	if ch.Token != "" {
		s.answers[ch.Host+"/"+ch.Token] = ch.Answer
	}
	if ch.Pair == nil {
		return nil
	}
	c, err := ch.Pair.load()
	s.alpn[ch.Host] = c
	return err
}

func (s *shelf) addHost(h HostPolicy) error {
	strict, err := isStrict(h.MinVersion)
	if err != nil {
		return err
	}
	p := &hostRule{redirect: h.Redirect, strict: strict}
	if h.HSTS > 0 {
		p.hsts = []byte("Strict-Transport-Security: max-age=" + strconv.FormatInt(h.HSTS, 10) + "\r\n")
	}
	s.hosts[h.Host] = p
	return nil
}

// byName looks a host up, exact first, then the wildcard that covers it.
func byName[T any](m map[string]*T, host string) *T {
	if v := m[host]; v != nil {
		return v
	}
	if i := strings.IndexByte(host, '.'); i > 0 {
		return m["*"+host[i:]]
	}
	return nil
}

var errNoCertificate = errors.New("no certificate for this name")

func (s *shelf) certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := byName(s.pairs, serverName(h)); c != nil {
		return c, nil
	}
	if s.fallback == nil {
		return nil, errNoCertificate
	}
	return s.fallback, nil
}

func serverName(h *tls.ClientHelloInfo) string {
	return strings.TrimSuffix(strings.ToLower(h.ServerName), ".")
}

// forClient chooses the settings of one handshake.
func (s *shelf) forClient(h *tls.ClientHelloInfo) (*tls.Config, error) {
	name := serverName(h)
	if slices.Contains(h.SupportedProtos, alpnChallenge) {
		c := s.alpn[name]
		if c == nil {
			return nil, errNoCertificate
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{alpnChallenge}, Certificates: []tls.Certificate{*c}}, nil
	}
	if p := byName(s.hosts, name); s.allStrict || p != nil && p.strict {
		return s.strict, nil
	}
	return s.plain, nil
}
