package converge

import (
	"slices"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/platform"
)

func TestPlanCertificates(t *testing.T) {
	now := time.Now()
	domain := func(host string, edit ...func(*stead.Domain)) stead.Domain {
		d := stead.Domain{AppID: "a", Host: host, AutoTLS: true}
		for _, e := range edit {
			e(&d)
		}
		return d
	}
	have := func(id stead.ID, source stead.CertificateSource, host string, left time.Duration) platform.TLSCertificate {
		until := now.Add(left)
		return platform.TLSCertificate{Certificate: stead.Certificate{ID: id, AppID: "a", Host: host, Names: []string{host}, Source: source,
			State: stead.CertificateReady, NotAfter: &until}, Pair: cert.Pair{Chain: "x", Key: "x"}}
	}
	manual := func(d *stead.Domain) { d.AutoTLS = false }
	plain, zone := planSettings{domain: "stead.test", acme: true}, planSettings{domain: "stead.test", acme: true, wildcards: true, apiHost: "api.example.com"}
	for name, c := range map[string]struct {
		set     planSettings
		domains []stead.Domain
		certs   []platform.TLSCertificate
		orders  []string
		drops   []stead.ID
	}{
		"no authority":         {planSettings{domain: "stead.test"}, []stead.Domain{domain("www.example.com")}, nil, nil, nil},
		"each host":            {plain, []stead.Domain{domain("hello.stead.test"), domain("www.example.com")}, nil, []string{"hello.stead.test", "www.example.com"}, nil},
		"local names":          {plain, []stead.Domain{domain("hello.stead.localhost")}, nil, nil, nil},
		"manual":               {plain, []stead.Domain{domain("www.example.com", manual)}, nil, nil, nil},
		"wildcard without DNS": {plain, []stead.Domain{domain("*.example.com")}, nil, nil, nil},
		"with DNS":             {zone, []stead.Domain{domain("*.example.com"), domain("hello.stead.test")}, nil, []string{"*.example.com", "*.stead.test", "api.example.com"}, nil},
		"there already":        {plain, []stead.Domain{domain("www.example.com")}, []platform.TLSCertificate{have("1", stead.CertificateACME, "www.example.com", time.Hour)}, nil, nil},
		"brought":              {plain, []stead.Domain{domain("www.example.com")}, []platform.TLSCertificate{have("1", stead.CertificateUploaded, "www.example.com", time.Hour)}, nil, nil},
		"brought, over": {plain, []stead.Domain{domain("www.example.com")}, []platform.TLSCertificate{have("1", stead.CertificateUploaded, "www.example.com", -time.Hour)},
			[]string{"www.example.com"}, nil},
		"not needed": {plain, nil, []platform.TLSCertificate{have("1", stead.CertificateACME, "www.example.com", time.Hour)}, nil, []stead.ID{"1"}},
	} {
		orders, drops := planCertificates(platform.TLSState{Domains: c.domains, Certificates: c.certs}, c.set, now)
		var hosts []string
		for _, o := range orders {
			hosts = append(hosts, o.Host)
		}
		if !slices.Equal(hosts, c.orders) || !slices.Equal(drops, c.drops) {
			t.Errorf("%s: orders %v drops %v, want %v %v", name, hosts, drops, c.orders, c.drops)
		}
	}
}
