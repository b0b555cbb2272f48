package heroku

import (
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

func certificateRoutes() []route {
	const acm, sni = "/apps/{app}/acm", "/apps/{app}/sni-endpoints"
	return []route{
		{Method: "POST", Path: acm, Title: "app: enable ACM", do: (*call).enableACM},
		{Method: "PATCH", Path: acm, Title: "app: refresh ACM", do: (*call).refreshACM},
		{Method: "DELETE", Path: acm, Title: "app: disable ACM", do: (*call).disableACM},
		{Method: "GET", Path: sni, Title: "SNI endpoint: list", do: (*call).endpoints},
		{Method: "POST", Path: sni, Title: "SNI endpoint: create", do: (*call).addCertificate},
		{Method: "GET", Path: sni + "/{endpoint}", Title: "SNI endpoint: info", do: (*call).endpoint},
		{Method: "PATCH", Path: sni + "/{endpoint}", Title: "SNI endpoint: update", do: (*call).replaceCertificate},
		{Method: "DELETE", Path: sni + "/{endpoint}", Title: "SNI endpoint: delete", do: (*call).removeCertificate},
	}
}

// endpointName names a certificate as Heroku names its endpoints.
func endpointName(c stead.Certificate) string { return "cert-" + string(c.ID)[24:] }

// covers reports whether a certificate is good for a host.
func covers(c stead.Certificate, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(c.Names, host) || slices.Contains(c.Names, "*."+parent)
}

func showEndpoint(a stead.App, domains []stead.Domain) func(stead.Certificate) object {
	return func(v stead.Certificate) object {
		ids := []stead.ID{}
		for _, d := range domains {
			if covers(v, d.Host) {
				ids = append(ids, d.ID)
			}
		}
		acme := v.Source == stead.CertificateACME
		cert := object{"id": v.ID, "cert_domains": append([]string{}, v.Names...), "ca_signed?": acme, "self_signed?": false, "issuer": v.Issuer,
			"subject": strings.Join(v.Names, ", "), "acm": acme}
		if v.NotBefore != nil && v.NotAfter != nil {
			cert["starts_at"], cert["expires_at"] = stamp(*v.NotBefore), stamp(*v.NotAfter)
		}
		name := endpointName(v)
		return object{"id": v.ID, "name": name, "display_name": name, "app": object{"id": a.ID, "name": a.Name}, "domains": ids, "ssl_cert": cert,
			"created_at": stamp(v.CreatedAt), "updated_at": stamp(v.UpdatedAt)}
	}
}

// certificates are those of the app that serve; one that is being obtained is
// told by its domain's acm_status.
func (c *call) certificates() (stead.App, []stead.Domain, []stead.Certificate, error) {
	a, domains, _, err := c.appDomains()
	if err != nil {
		return a, nil, nil, err
	}
	all, err := c.p.Certificates(c.ctx, string(a.ID))
	return a, domains, all, err
}

func (c *call) endpoints() (any, error) {
	a, domains, all, err := c.certificates()
	all = slices.DeleteFunc(all, func(v stead.Certificate) bool { return v.State != stead.CertificateReady })
	return each(all, showEndpoint(a, domains)), err
}

func (c *call) findEndpoint() (object, stead.Certificate, error) {
	a, domains, all, err := c.certificates()
	for _, v := range all {
		if ref := c.params["endpoint"]; string(v.ID) == ref || endpointName(v) == ref {
			return showEndpoint(a, domains)(v), v, err
		}
	}
	if err == nil {
		err = stead.NotFound("sni_endpoint", c.params["endpoint"])
	}
	return nil, stead.Certificate{}, err
}

func (c *call) endpoint() (any, error) {
	o, _, err := c.findEndpoint()
	return o, err
}

func (c *call) addCertificate() (any, error) {
	o, err := c.uploadCertificate()
	return c.created(o), err
}

func (c *call) uploadCertificate() (object, error) {
	var in struct {
		Chain string `json:"certificate_chain"`
		Key   string `json:"private_key"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	a, domains, _, err := c.certificates()
	if err != nil {
		return nil, err
	}
	v, err := c.p.AddCertificate(c.ctx, string(a.ID), stead.NewCertificate{Chain: in.Chain, Key: in.Key})
	if err != nil {
		return nil, err
	}
	return showEndpoint(a, domains)(v), nil
}

// replaceCertificate adds the new one, which displaces what it replaces.
func (c *call) replaceCertificate() (any, error) {
	if _, _, err := c.findEndpoint(); err != nil {
		return nil, err
	}
	return c.uploadCertificate()
}

func (c *call) removeCertificate() (any, error) {
	o, v, err := c.findEndpoint()
	if err != nil {
		return nil, err
	}
	return o, c.p.RemoveCertificate(c.ctx, c.app(), string(v.ID))
}

// enableACM has the platform obtain certificates for all of the app's own domains.
func (c *call) enableACM() (any, error)  { return c.setACM(true) }
func (c *call) disableACM() (any, error) { return c.setACM(false) }

func (c *call) setACM(on bool) (any, error) {
	if _, err := c.p.Authorize(c.ctx, c.app(), stead.ActWrite); err != nil {
		return nil, err // also when there is nothing to change
	}
	a, domains, _, err := c.appDomains()
	if err != nil {
		return nil, err
	}
	for _, d := range domains {
		if d.Platform || d.AutoTLS == on {
			continue
		}
		if _, err := c.p.UpdateDomain(c.ctx, string(a.ID), d.Host, stead.DomainPatch{AutoTLS: &on}); err != nil {
			return nil, err
		}
	}
	return c.detail(a)
}

func (c *call) refreshACM() (any, error) {
	if _, err := c.p.Authorize(c.ctx, c.app(), stead.ActWrite); err != nil {
		return nil, err
	}
	a, _, all, err := c.certificates()
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.Source == stead.CertificateACME {
			if _, err := c.p.RenewCertificate(c.ctx, string(a.ID), string(v.ID)); err != nil {
				return nil, err
			}
		}
	}
	return c.detail(a)
}

// acm reports whether the platform obtains certificates for the app's own domains.
func (c *call) acm(a stead.App) (bool, error) {
	all, err := c.p.Domains(c.ctx, string(a.ID))
	own := false
	for _, d := range all {
		if !d.Platform {
			if !d.AutoTLS {
				return false, err
			}
			own = true
		}
	}
	return own, err
}

// acmStatus is how a domain does with its certificate, in Heroku's words.
func acmStatus(d stead.Domain, all []stead.Certificate) (status, reason any) {
	if d.Platform || !d.AutoTLS {
		return nil, nil
	}
	for _, v := range all {
		if v.Host != d.Host {
			continue
		}
		switch v.State {
		case stead.CertificateReady:
			return "cert issued", nil
		case stead.CertificateFailed:
			return "failing", orNull(v.Reason)
		}
		return "in-progress", nil
	}
	return "pending", nil
}
