package client

import (
	"context"
	"net/http"

	"github.com/steadpaas/stead"
)

// Certificates lists the certificates of an app.
func (c *Client) Certificates(ctx context.Context, app string) ([]stead.Certificate, error) {
	return items[stead.Certificate](ctx, c, path("apps", app, "certificates"), nil)
}

// Certificate returns a certificate, by ID or by a host it serves.
func (c *Client) Certificate(ctx context.Context, app, which string) (stead.Certificate, error) {
	return get[stead.Certificate](ctx, c, path("apps", app, "certificates", which), nil)
}

// AddCertificate serves the app's hosts with a certificate of one's own.
func (c *Client) AddCertificate(ctx context.Context, app string, n stead.NewCertificate) (stead.Certificate, error) {
	return send[stead.Certificate](ctx, c, http.MethodPost, path("apps", app, "certificates"), n)
}

// RenewCertificate has a certificate that the platform obtains renewed now.
func (c *Client) RenewCertificate(ctx context.Context, app, which string) (stead.Certificate, error) {
	return send[stead.Certificate](ctx, c, http.MethodPost, path("apps", app, "certificates", which, "renew"), nil)
}

// RemoveCertificate removes an uploaded certificate.
func (c *Client) RemoveCertificate(ctx context.Context, app, which string) error {
	return remove(ctx, c, path("apps", app, "certificates", which), nil)
}

// UpdateDomain changes what is not nil in the patch.
func (c *Client) UpdateDomain(ctx context.Context, app, host string, p stead.DomainPatch) (stead.Domain, error) {
	return send[stead.Domain](ctx, c, http.MethodPatch, path("apps", app, "domains", host), p)
}

// PlatformCertificates lists the certificates of the platform's own hosts. For
// administrators of the platform.
func (c *Client) PlatformCertificates(ctx context.Context) ([]stead.Certificate, error) {
	return items[stead.Certificate](ctx, c, path("certificates"), nil)
}

// Authority returns the platform's own certificate authority.
func (c *Client) Authority(ctx context.Context) (stead.Authority, error) {
	return get[stead.Authority](ctx, c, path("authority"), nil)
}
