package api

import (
	"context"

	"github.com/steadpaas/stead"
)

func certificates(s *server) {
	type ref struct {
		AppRef
		Certificate string `path:"certificate" maxLength:"300" doc:"An ID, or a host that it serves."`
	}
	handleList(s, op("Certificates", "GET", "apps/{app}/certificates", "List certificates"), func(ctx context.Context, in *AppRef) ([]stead.Certificate, error) {
		return s.p.Certificates(ctx, in.App)
	})
	handle(s, op("Certificate", "GET", "apps/{app}/certificates/{certificate}", "Get a certificate"), func(ctx context.Context, in *ref) (stead.Certificate, error) {
		return s.p.Certificate(ctx, in.App, in.Certificate)
	})
	type upload struct {
		AppRef
		Body stead.NewCertificate
	}
	handle(s, op("AddCertificate", "POST", "apps/{app}/certificates", "Serve the app's hosts with a certificate of one's own"), func(ctx context.Context, in *upload) (stead.Certificate, error) {
		return s.p.AddCertificate(ctx, in.App, in.Body)
	})
	handle(s, op("RenewCertificate", "POST", "apps/{app}/certificates/{certificate}/renew", "Renew a certificate that the platform obtains", done(200)), func(ctx context.Context, in *ref) (stead.Certificate, error) {
		return s.p.RenewCertificate(ctx, in.App, in.Certificate)
	})
	act(s, op("RemoveCertificate", "DELETE", "apps/{app}/certificates/{certificate}", "Remove an uploaded certificate"), func(ctx context.Context, in *ref) error {
		return s.p.RemoveCertificate(ctx, in.App, in.Certificate)
	})
	type patch struct {
		AppRef
		Host string `path:"host" maxLength:"300"`
		Body stead.DomainPatch
	}
	handle(s, op("UpdateDomain", "PATCH", "apps/{app}/domains/{host}", "Change how a host is reached over TLS"), func(ctx context.Context, in *patch) (stead.Domain, error) {
		return s.p.UpdateDomain(ctx, in.App, in.Host, in.Body)
	})
	handleList(s, op("PlatformCertificates", "GET", "certificates", "List the certificates of the platform's own hosts"), func(ctx context.Context, _ *none) ([]stead.Certificate, error) {
		return s.p.PlatformCertificates(ctx)
	})
	handle(s, op("Authority", "GET", "authority", "Get the platform's own certificate authority", open), func(ctx context.Context, _ *none) (stead.Authority, error) {
		return s.p.Authority(ctx)
	})
}
