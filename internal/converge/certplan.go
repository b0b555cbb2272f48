package converge

import (
	"slices"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// planSettings is what the plan depends on besides the state.
type planSettings struct {
	domain    string // of the platform
	apiHost   string // the API's public name; "": none
	acme      bool   // there is an authority to ask
	wildcards bool   // it can be shown DNS-01, which wildcards need
}

// order is the wish for a certificate.
type order struct {
	App   stead.ID
	Host  string
	Names []string
}

// planCertificates says which certificates to order, and which to forget.
func planCertificates(state platform.TLSState, s planSettings, now time.Time) (orders []order, drops []stead.ID) {
	want := map[string]order{}
	if s.acme {
		for _, o := range wishes(state, s, now) {
			want[o.Host] = o
		}
	}
	for _, c := range state.Certificates {
		if c.Source != stead.CertificateACME {
			continue
		}
		if o, ok := want[c.Host]; ok && o.App == c.AppID {
			delete(want, c.Host)
		} else {
			drops = append(drops, c.ID)
		}
	}
	for _, o := range want {
		orders = append(orders, o)
	}
	slices.SortFunc(orders, func(a, b order) int { return strings.Compare(a.Host, b.Host) })
	return orders, drops
}

// wishes lists the certificates that ought to be obtained.
func wishes(state platform.TLSState, s planSettings, now time.Time) (out []order) {
	all := s.wildcards && obtainable(s.domain)
	brought := usable(state.Certificates, now, true)
	if all {
		out = append(out, order{Host: "*." + s.domain, Names: []string{"*." + s.domain, s.domain}})
	}
	if h := s.apiHost; h != "" && obtainable(h) && !(all && under(h, s.domain)) {
		out = append(out, order{Host: h, Names: []string{h}})
	}
	for _, d := range state.Domains {
		wild := strings.HasPrefix(d.Host, "*.")
		switch {
		case !d.AutoTLS, !obtainable(d.Host), wild && !s.wildcards, all && under(d.Host, s.domain):
		case brought.best(d.AppID, d.Host) != nil:
		default:
			out = append(out, order{App: d.AppID, Host: d.Host, Names: []string{d.Host}})
		}
	}
	return out
}

// obtainable reports whether an authority may vouch for a host: names under
// .localhost mean each machine itself (RFC 6761, section 6.3).
func obtainable(host string) bool {
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

// under reports whether "*.domain" covers host, or host is the domain.
func under(host, domain string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return host == domain || parent == domain
}

// kept is certificates by the app that has them; "": the platform.
type kept map[stead.ID][]*platform.TLSCertificate

// usable returns what can serve at now, uploaded only if asked.
func usable(all []platform.TLSCertificate, now time.Time, uploaded bool) kept {
	k := kept{}
	for i := range all {
		c := &all[i]
		if c.State == stead.CertificateReady && c.Pair.Key != "" && c.NotAfter != nil && !now.After(*c.NotAfter) && (!uploaded || c.Source == stead.CertificateUploaded) {
			k[c.AppID] = append(k[c.AppID], c)
		}
	}
	return k
}

// best returns the certificate to serve a host of an app with: what a person
// brought before what was obtained, the app's before the platform's, the
// longest valid. nil: none.
func (k kept) best(app stead.ID, host string) (found *platform.TLSCertificate) {
	look := func(all []*platform.TLSCertificate) {
		for _, c := range all {
			if matches(c.Names, host) && (found == nil || better(c, found)) {
				found = c
			}
		}
	}
	look(k[app])
	if app != "" {
		look(k[""])
	}
	return found
}

func better(a, b *platform.TLSCertificate) bool {
	if (a.Source == stead.CertificateUploaded) != (b.Source == stead.CertificateUploaded) {
		return a.Source == stead.CertificateUploaded
	}
	if (a.AppID == "") != (b.AppID == "") {
		return b.AppID == ""
	}
	return a.NotAfter.After(*b.NotAfter)
}

func matches(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(names, host) || slices.Contains(names, "*."+parent)
}

// set computes what the router is to serve.
func (c *Certificates) set(state platform.TLSState, now time.Time) (*route.Certificates, error) {
	set := &route.Certificates{MinVersion: c.d.MinVersion, Pairs: []route.Pair{}}
	have := usable(state.Certificates, now, false)
	pairs := map[stead.ID]int{} // index in set.Pairs
	for _, d := range state.Domains {
		t := have.best(d.AppID, d.Host)
		if t == nil {
			if under(d.Host, c.d.Domain) {
				continue // by the platform's own
			}
			if err := c.addInternal(set, now, d.Host); err != nil {
				return nil, err
			}
			continue
		}
		i, ok := pairs[t.ID]
		if !ok {
			i = len(set.Pairs)
			pairs[t.ID] = i
			set.Pairs = append(set.Pairs, route.Pair{Chain: t.Pair.Chain, Key: t.Pair.Key, Staple: t.Staple})
		}
		set.Pairs[i].Names = append(set.Pairs[i].Names, d.Host)
	}
	if err := c.addOwn(set, have, now); err != nil {
		return nil, err
	}
	for _, d := range state.Domains {
		if p, ok := c.policy(d, have.best(d.AppID, d.Host) != nil); ok {
			set.Hosts = append(set.Hosts, p)
		}
	}
	for _, ch := range state.Challenges {
		set.Challenges = append(set.Challenges, challenge(ch))
	}
	return set, nil
}

func (c *Certificates) addInternal(set *route.Certificates, now time.Time, names ...string) error {
	p, err := c.sign(now, names...)
	if err == nil {
		set.Pairs = append(set.Pairs, route.Pair{Names: names, Chain: p.Chain, Key: p.Key})
	}
	return err
}

// addOwn adds what serves the platform's own names, and any that is unknown.
func (c *Certificates) addOwn(set *route.Certificates, have kept, now time.Time) error {
	if h := c.plan.apiHost; h != "" {
		if t := have.best("", h); t != nil {
			set.Pairs = append(set.Pairs, route.Pair{Names: []string{h}, Chain: t.Pair.Chain, Key: t.Pair.Key, Staple: t.Staple})
		}
	}
	names := []string{c.d.Domain, "*." + c.d.Domain}
	if t := have.best("", "*."+c.d.Domain); t != nil {
		set.Pairs = append(set.Pairs, route.Pair{Names: names, Chain: t.Pair.Chain, Key: t.Pair.Key, Staple: t.Staple, Default: true})
		return nil
	}
	if err := c.addInternal(set, now, names...); err != nil {
		return err
	}
	set.Pairs[len(set.Pairs)-1].Default = true
	return nil
}

// policy is how a domain wants to be reached; ok: the router must know.
func (c *Certificates) policy(d stead.Domain, trusted bool) (p route.HostPolicy, ok bool) {
	p = route.HostPolicy{Host: d.Host, HSTS: int64(d.HSTS), MinVersion: d.MinTLS}
	p.Redirect = d.HTTPSRedirect == stead.RedirectOn || d.HTTPSRedirect != stead.RedirectOff && trusted
	return p, p.Redirect || p.HSTS > 0 || p.MinVersion != ""
}

func challenge(ch cert.Challenge) route.Challenge {
	out := route.Challenge{Host: ch.Host, Token: ch.Token, Answer: ch.Answer}
	if ch.Pair != nil {
		out.Pair = &route.Pair{Names: []string{ch.Host}, Chain: ch.Pair.Chain, Key: ch.Pair.Key}
	}
	return out
}
