package cert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Staple is an answer of an OCSP responder, to be sent along in handshakes.
type Staple struct {
	DER     []byte
	Refresh time.Time // when to ask again
	Good    bool      // false: the certificate is revoked
}

// Responders asks OCSP responders. The zero value reaches public addresses only.
type Responders struct{ Client *http.Client }

// Ask asks the responder that the leaf names. It returns nil when the leaf names
// none, or the chain lacks the issuer.
func (r Responders) Ask(ctx context.Context, chain string, now time.Time) (*Staple, error) {
	certs, err := parseChain([]byte(chain))
	if err != nil || len(certs) < 2 || len(certs[0].OCSPServer) == 0 {
		return nil, err
	}
	leaf, issuer := certs[0], certs[1]
	q, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the OCSP responder: %w", err)
	}
	der, err := r.post(ctx, leaf.OCSPServer[0], q)
	if err != nil {
		return nil, fmt.Errorf("ask the OCSP responder: %w", err)
	}
	a, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, fmt.Errorf("read the OCSP answer: %w", err)
	}
	if a.Status == ocsp.Unknown || !a.NextUpdate.IsZero() && now.After(a.NextUpdate) {
		return nil, fmt.Errorf("the OCSP responder %s gives no usable answer", leaf.OCSPServer[0])
	}
	s := &Staple{DER: der, Good: a.Status == ocsp.Good, Refresh: now.Add(12 * time.Hour)}
	if half := a.ThisUpdate.Add(a.NextUpdate.Sub(a.ThisUpdate) / 2); !a.NextUpdate.IsZero() {
		s.Refresh = half
	}
	if soon := now.Add(time.Minute); s.Refresh.Before(soon) {
		s.Refresh = soon
	}
	return s, nil
}

func (r Responders) post(ctx context.Context, url string, body []byte) ([]byte, error) {
	c := r.Client
	if c == nil {
		c = outside()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 64<<10))
}

// outside is a client that reaches public addresses only: the responder's
// address comes out of a certificate that anybody may have made.
func outside() *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if ip := a.Addr().Unmap(); err != nil || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
			return fmt.Errorf("%s is not a public address", address)
		}
		return nil
	}}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
