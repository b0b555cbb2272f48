package platform

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
)

// brought is a certificate that a person might bring, valid by the world's clock.
func brought(names ...string) stead.NewCertificate {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, err := cert.NewAuthority("example.com", now)
	if err != nil {
		panic(err)
	}
	p, err := a.Sign(now, names...)
	if err != nil {
		panic(err)
	}
	return stead.NewCertificate{Chain: p.Chain, Key: p.Key}
}

func TestUploadedCertificate(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	w.app("other")
	for app, host := range map[string]string{"hello": "www.example.com", "other": "api.example.com"} {
		_, err := w.AddDomain(w.admin, app, host)
		check(t, err)
	}
	if _, err := w.AddCertificate(w.admin, "hello", brought("foreign.example.com")); stead.KindOf(err) != stead.KindInvalid || !strings.Contains(err.Error(), "foreign.example.com") {
		t.Errorf("a certificate for none of its hosts: %v", err)
	}
	first, err := w.AddCertificate(w.admin, "hello", brought("www.example.com"))
	check(t, err)
	second, err := w.AddCertificate(w.admin, "hello", brought("*.example.com"))
	check(t, err)
	all, err := w.Platform.Certificates(w.admin, "hello")
	check(t, err)
	if len(all) != 1 || all[0].ID != second.ID || first.ID == second.ID {
		t.Errorf("after a replacement: %+v", all)
	}
	state, err := w.TLSState(w.system)
	check(t, err)
	if len(state.Certificates) != 1 || !strings.Contains(state.Certificates[0].Pair.Key, "PRIVATE KEY") {
		t.Errorf("the loops see %d certificates", len(state.Certificates))
	}
	domains, err := w.Domains(w.admin, "hello")
	check(t, err)
	for _, d := range domains {
		want := stead.CertificateUploaded
		if d.Platform {
			want = stead.CertificateInternal
		}
		if d.Certificate != want {
			t.Errorf("%s is served by %q, want %q", d.Host, d.Certificate, want)
		}
	}
	if _, err := w.RenewCertificate(w.admin, "hello", "www.example.com"); stead.KindOf(err) != stead.KindPrecondition {
		t.Errorf("renewing an uploaded one: %v", err)
	}
	check(t, w.RemoveCertificate(w.admin, "hello", string(second.ID)))
	if _, err := w.Certificate(w.admin, "hello", "www.example.com"); stead.KindOf(err) != stead.KindNotFound {
		t.Errorf("after removal: %v", err)
	}
}

// An order is claimed by one, fails with a back-off, succeeds, and is due again
// when two thirds of the certificate's life are over.
func TestObtainedCertificate(t *testing.T) {
	w := newWorld(t)
	a := w.app("hello")
	_, err := w.AddDomain(w.admin, "hello", "www.example.com")
	check(t, err)
	for range 2 { // saying it again changes nothing
		check(t, w.OrderCertificate(w.system, a.ID, "www.example.com", []string{"www.example.com"}))
	}
	job, err := w.ClaimCertificate(w.system, "one", time.Minute)
	check(t, err)
	if other, err := w.ClaimCertificate(w.system, "two", time.Minute); err != nil || other != nil || job == nil {
		t.Fatalf("claimed twice: %v %v", other, err)
	}
	check(t, w.FinishCertificate(w.system, job.ID, "two", cert.Pair{}, errors.New("not mine to say")))
	check(t, w.FinishCertificate(w.system, job.ID, "one", cert.Pair{}, errors.New("the name does not point here")))
	got, err := w.Certificate(w.admin, "hello", "www.example.com")
	check(t, err)
	if got.State != stead.CertificateFailed || got.Attempts != 1 || got.Reason != "the name does not point here" || got.NextAt.Sub(got.UpdatedAt) != firstRetry {
		t.Errorf("after a failure: %+v", got)
	}
	if next, err := w.ClaimCertificate(w.system, "one", time.Minute); err != nil || next != nil {
		t.Errorf("tried again at once: %v %v", next, err)
	}
	if _, err := w.RenewCertificate(w.admin, "hello", "www.example.com"); err != nil {
		t.Fatal(err)
	}
	job, err = w.ClaimCertificate(w.system, "one", time.Minute)
	check(t, err)
	n := brought("www.example.com")
	check(t, w.FinishCertificate(w.system, job.ID, "one", cert.Pair{Chain: n.Chain, Key: n.Key}, nil))
	got, err = w.Certificate(w.admin, "hello", "www.example.com")
	check(t, err)
	if life := got.NotAfter.Sub(*got.NotBefore); got.State != stead.CertificateReady || got.Attempts != 0 || got.NextAt.Sub(*got.NotBefore) != life*2/3 {
		t.Errorf("after success: %+v", got)
	}
	if err := w.RemoveCertificate(w.admin, "hello", "www.example.com"); stead.KindOf(err) != stead.KindPrecondition {
		t.Errorf("removing what would come again: %v", err)
	}
	events, err := w.Events(w.admin, EventQuery{App: "hello", Verb: "certificate."})
	check(t, err)
	var verbs []string
	for e, err := range events {
		check(t, err)
		verbs = append(verbs, e.Verb)
	}
	if got := strings.Join(verbs, " "); got != "certificate.fail certificate.renew certificate.issue" {
		t.Errorf("events: %s", got)
	}
}

func TestPlatformSecretsAreKeptOnce(t *testing.T) {
	w := newWorld(t)
	one, err := w.Authority(w.admin)
	check(t, err)
	two, err := w.Authority(t.Context()) // anybody
	check(t, err)
	if one.Fingerprint != two.Fingerprint || !strings.Contains(one.Certificate, "BEGIN CERTIFICATE") || strings.Contains(one.Certificate, "PRIVATE") {
		t.Errorf("%+v and %+v", one, two)
	}
	if _, err := w.PlatformCertificates(w.person("x@example.com")); stead.KindOf(err) != stead.KindForbidden {
		t.Errorf("a stranger lists the platform's certificates: %v", err)
	}
	_, err = w.RotateKeys(w.admin)
	check(t, err)
	if _, err := w.InternalAuthority(w.system); err != nil {
		t.Errorf("after a rotation of the master keys: %v", err)
	}
}

func TestDomainSettings(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	d, err := w.AddDomain(w.admin, "hello", "www.example.com")
	check(t, err)
	if !d.AutoTLS || d.HTTPSRedirect != stead.RedirectAuto || d.HSTS != 0 {
		t.Errorf("a new domain: %+v", d)
	}
	d, err = w.UpdateDomain(w.admin, "hello", d.Host, stead.DomainPatch{HTTPSRedirect: ptr("on"), HSTS: ptr(stead.Seconds(300)), MinTLS: ptr("1.3"), AutoTLS: ptr(false)})
	check(t, err)
	all, err := w.Domains(w.admin, "hello")
	check(t, err)
	if got := all[1]; got.AutoTLS || got.HTTPSRedirect != "on" || got.HSTS != 300 || got.MinTLS != "1.3" {
		t.Errorf("kept: %+v", got)
	}
	for _, bad := range []stead.DomainPatch{{HTTPSRedirect: ptr("maybe")}, {HSTS: ptr(stead.Seconds(-1))}, {MinTLS: ptr("1.1")}} {
		if _, err := w.UpdateDomain(w.admin, "hello", d.Host, bad); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
