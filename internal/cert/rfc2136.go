package cert

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/steadpaas/stead"
)

// RFC2136 changes a zone by dynamic updates (RFC 2136), signed with TSIG, as
// BIND, Knot, PowerDNS and Windows DNS take them.
type RFC2136 struct {
	Server    string // host:port of the zone's primary
	KeyName   string // of the TSIG key; "": unsigned
	Algorithm string // "hmac-sha256"
	Secret    string // base64
}

var keyFile = regexp.MustCompile(`(?s)key\s+"?([^"\s{]+)"?\s*\{\s*algorithm\s+"?([^"\s;]+)"?\s*;\s*secret\s+"([^"]+)"\s*;\s*\}`)

// ParseKey reads a key in the form that tsig-keygen writes.
func (r *RFC2136) ParseKey(text string) error {
	m := keyFile.FindStringSubmatch(text)
	if m == nil {
		return stead.Invalid("acme-dns-key", "the file holds no TSIG key", `write it as tsig-keygen does: key "name" { algorithm hmac-sha256; secret "…"; };`)
	}
	r.KeyName, r.Algorithm, r.Secret = m[1], m[2], m[3]
	return nil
}

// Add implements Zone.
func (r *RFC2136) Add(ctx context.Context, name, value string) error {
	if err := r.update(ctx, name, value, (*dns.Msg).Insert); err != nil {
		return err
	}
	return r.await(ctx, dns.Fqdn(name), value)
}

// Remove implements Zone.
func (r *RFC2136) Remove(ctx context.Context, name, value string) error {
	return r.update(ctx, name, value, (*dns.Msg).Remove)
}

func (r *RFC2136) update(ctx context.Context, name, value string, change func(*dns.Msg, []dns.RR)) error {
	zone, err := r.zone(ctx, dns.Fqdn(name))
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	change(m, []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{value}}})
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	if r.KeyName != "" {
		key := dns.Fqdn(strings.ToLower(r.KeyName))
		c.TsigSecret = map[string]string{key: r.Secret}
		m.SetTsig(key, dns.Fqdn(r.Algorithm), 300, time.Now().Unix())
	}
	in, _, err := c.ExchangeContext(ctx, m, r.Server)
	if err != nil {
		return fmt.Errorf("update zone %s at %s: %w", zone, r.Server, err)
	}
	if in.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("update zone %s at %s: it answered %s", zone, r.Server, dns.RcodeToString[in.Rcode])
	}
	return nil
}

// zone finds the zone that a name is in: the closest one with a SOA record.
func (r *RFC2136) zone(ctx context.Context, name string) (string, error) {
	for i, end := 0, false; !end; i, end = dns.NextLabel(name, i) {
		in, err := r.ask(ctx, name[i:], dns.TypeSOA)
		if err != nil {
			return "", err
		}
		for _, rr := range in.Answer {
			if s, ok := rr.(*dns.SOA); ok {
				return s.Hdr.Name, nil
			}
		}
	}
	return "", fmt.Errorf("the server %s has no zone for %s", r.Server, name)
}

func (r *RFC2136) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	in, _, err := (&dns.Client{Net: "tcp", Timeout: 10 * time.Second}).ExchangeContext(ctx, m, r.Server)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", r.Server, name, err)
	}
	return in, nil
}

// await returns when the server answers with the value.
func (r *RFC2136) await(ctx context.Context, name, value string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		in, err := r.ask(ctx, name, dns.TypeTXT)
		if err != nil {
			return err
		}
		for _, rr := range in.Answer {
			if t, ok := rr.(*dns.TXT); ok && strings.Join(t.Txt, "") == value {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the record %s does not appear at %s: %w", name, r.Server, ctx.Err())
		case <-tick.C:
		}
	}
}
