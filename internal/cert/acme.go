package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/steadpaas/stead"
)

// ACME is an account's way to an ACME authority (RFC 8555).
type ACME struct {
	Directory string         // URL
	Email     string         // told of trouble by the authority; "": none
	KeyID     string         // external account binding; "": none
	MAC       string         // its key, base64url
	Roots     *x509.CertPool // that vouch for the directory itself; nil: the machine's
	DNS       Zone           // for DNS-01; nil: HTTP-01 and TLS-ALPN-01 only
	Agent     string         // names this program to the authority
}

// Zone writes TXT records for DNS-01.
type Zone interface {
	// Add makes name ("_acme-challenge.example.com") have the value, and returns
	// when the zone's server says so.
	Add(ctx context.Context, name, value string) error
	Remove(ctx context.Context, name, value string) error
}

// Account is a registration with an authority.
type Account struct {
	Key string `json:"key"` // PEM
	URL string `json:"url"`
}

// Challenge is what the authority will look for at a host.
type Challenge struct {
	Host   string
	Token  string // HTTP-01
	Answer string // HTTP-01
	Pair   *Pair  // TLS-ALPN-01
}

// Presenter shows challenges to the authority. Present returns when a request
// of the authority would be answered.
type Presenter interface {
	Present(ctx context.Context, c Challenge) error
	CleanUp(ctx context.Context, c Challenge) error
}

// Register makes an account.
func (a *ACME) Register(ctx context.Context) (Account, error) {
	key, err := newKey()
	if err != nil {
		return Account{}, err
	}
	c := a.client()
	in := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.Email != "" {
		in.Contact = []string{"mailto:" + a.Email}
	}
	if a.KeyID != "" {
		if err := in.SetExternalAccountBinding(ctx, c, acme.EAB{KeyID: a.KeyID, MACKey: a.MAC}); err != nil {
			return Account{}, a.failed("bind the account", err)
		}
	}
	out, err := c.NewAccount(ctx, in)
	if err != nil {
		return Account{}, a.failed("make an account", err)
	}
	k, err := encodeKey(key)
	return Account{Key: k, URL: out.Location}, err
}

// Obtain has the authority issue a certificate for names with a new key. It
// takes seconds to minutes; bound it by ctx.
func (a *ACME) Obtain(ctx context.Context, account Account, p Presenter, names ...string) (Pair, error) {
	accountKey, err := parseKey([]byte(account.Key))
	if err != nil {
		return Pair{}, err
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	c := acmez.Client{Client: a.client(), ChallengeSolvers: a.solvers(p)}
	acct := acme.Account{Status: acme.StatusValid, Location: account.URL, PrivateKey: accountKey, TermsOfServiceAgreed: true}
	got, err := c.ObtainCertificateForSANs(ctx, acct, key, names)
	if err != nil {
		return Pair{}, a.failed("obtain a certificate for "+strings.Join(names, ", "), err)
	}
	if len(got) == 0 {
		return Pair{}, a.failed("obtain a certificate", errors.New("it gave none"))
	}
	k, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	pair, _, err := Check(string(got[0].ChainPEM), k, time.Now())
	return pair, err
}

func (a *ACME) client() *acme.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: a.Roots, MinVersion: tls.VersionTLS12}
	t.DisableKeepAlives = true // one short talk, then weeks of nothing
	return &acme.Client{Directory: a.Directory, UserAgent: a.Agent, PollTimeout: 2 * time.Minute,
		HTTPClient: &http.Client{Transport: t, Timeout: 30 * time.Second}}
}

func (a *ACME) solvers(p Presenter) map[string]acmez.Solver {
	if a.DNS != nil {
		return map[string]acmez.Solver{acme.ChallengeTypeDNS01: dnsSolver{a.DNS}}
	}
	return map[string]acmez.Solver{acme.ChallengeTypeHTTP01: httpSolver{p}, acme.ChallengeTypeTLSALPN01: alpnSolver{p}}
}

// failed says what the authority says; its words are meant for people.
func (a *ACME) failed(what string, err error) error {
	msg := err.Error()
	if p, ok := errors.AsType[acme.Problem](err); ok {
		msg = p.Detail
		for _, s := range p.Subproblems {
			msg += "; " + s.Identifier.Value + ": " + s.Detail
		}
	}
	return stead.Unavailable(fmt.Sprintf("the authority at %s did not %s: %s", a.Directory, what, msg),
		"check that the name's DNS record points at this platform and that ports 80 and 443 reach it", err)
}

type httpSolver struct{ p Presenter }

func httpChallenge(c acme.Challenge) Challenge {
	return Challenge{Host: strings.ToLower(c.Identifier.Value), Token: c.Token, Answer: c.KeyAuthorization}
}

func (s httpSolver) Present(ctx context.Context, c acme.Challenge) error {
	return s.p.Present(ctx, httpChallenge(c))
}

func (s httpSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.p.CleanUp(ctx, httpChallenge(c))
}

type alpnSolver struct{ p Presenter }

func (s alpnSolver) Present(ctx context.Context, c acme.Challenge) error {
	ch, err := alpnChallenge(c)
	if err != nil {
		return err
	}
	return s.p.Present(ctx, ch)
}

func (s alpnSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.p.CleanUp(ctx, Challenge{Host: strings.ToLower(c.Identifier.Value), Pair: &Pair{}})
}

func alpnChallenge(c acme.Challenge) (Challenge, error) {
	t, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return Challenge{}, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(t.PrivateKey)
	if err != nil {
		return Challenge{}, err
	}
	signer, err := decodeKey(key)
	if err != nil {
		return Challenge{}, err
	}
	k, err := encodeKey(signer)
	return Challenge{Host: strings.ToLower(c.Identifier.Value), Pair: &Pair{Chain: encodeChain(t.Certificate...), Key: k}}, err
}

type dnsSolver struct{ z Zone }

func (s dnsSolver) Present(ctx context.Context, c acme.Challenge) error {
	return s.z.Add(ctx, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
}

func (s dnsSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	return s.z.Remove(ctx, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
}
