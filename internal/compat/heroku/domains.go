package heroku

import (
	"strings"

	"github.com/steadpaas/stead"
)

func domainRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/domains", Title: "domain: list", do: (*call).domains},
		{Method: "POST", Path: "/apps/{app}/domains", Title: "domain: create", do: (*call).addDomain},
		{Method: "GET", Path: "/apps/{app}/domains/{domain}", Title: "domain: info", do: (*call).domain},
		{Method: "PATCH", Path: "/apps/{app}/domains/{domain}", Title: "domain: update", do: (*call).updateDomain},
		{Method: "DELETE", Path: "/apps/{app}/domains/{domain}", Title: "domain: delete", do: (*call).removeDomain},
	}
}

// showDomain serializes a domain. Its cname is the app's host under the
// platform's domain, which a DNS record may point at.
func showDomain(a stead.App, cname string, certificates []stead.Certificate) func(stead.Domain) object {
	return func(d stead.Domain) object {
		kind, target := "custom", any(cname)
		if d.Platform {
			kind, target = "heroku", nil
		}
		status, reason := acmStatus(d, certificates)
		var endpoint any
		for _, v := range certificates {
			if v.State == stead.CertificateReady && covers(v, d.Host) {
				endpoint = object{"id": v.ID, "name": endpointName(v)}
			}
		}
		return object{"id": d.ID, "app": object{"id": a.ID, "name": a.Name}, "hostname": d.Host, "kind": kind, "cname": target, "status": "succeeded",
			"acm_status": status, "acm_status_reason": reason, "sni_endpoint": endpoint, "created_at": stamp(d.CreatedAt), "updated_at": stamp(d.CreatedAt)}
	}
}

func (c *call) appDomains() (stead.App, []stead.Domain, string, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return a, nil, "", err
	}
	all, err := c.p.Domains(c.ctx, string(a.ID))
	for _, d := range all {
		if d.Platform {
			return a, all, d.Host, err
		}
	}
	return a, all, "", err
}

func (c *call) domains() (any, error) {
	a, all, cname, err := c.appDomains()
	if err != nil {
		return nil, err
	}
	certificates, err := c.p.Certificates(c.ctx, string(a.ID))
	return each(all, showDomain(a, cname, certificates)), err
}

func (c *call) findDomain() (object, error) {
	a, all, cname, err := c.appDomains()
	if err != nil {
		return nil, err
	}
	certificates, err := c.p.Certificates(c.ctx, string(a.ID))
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if ref := c.params["domain"]; string(d.ID) == ref || strings.EqualFold(d.Host, ref) {
			return showDomain(a, cname, certificates)(d), nil
		}
	}
	return nil, stead.NotFound("domain", c.params["domain"])
}

func (c *call) domain() (any, error) { return c.findDomain() }

func (c *call) addDomain() (any, error) {
	var in struct {
		Hostname string `json:"hostname"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	d, err := c.p.AddDomain(c.ctx, c.app(), in.Hostname)
	if err != nil {
		return nil, err
	}
	a, _, cname, err := c.appDomains()
	return c.created(showDomain(a, cname, nil)(d)), err
}

func (c *call) removeDomain() (any, error) {
	o, err := c.findDomain()
	if err != nil {
		return nil, err
	}
	return o, c.p.RemoveDomain(c.ctx, c.app(), o["hostname"].(string))
}

// updateDomain agrees to the certificate that serves the domain: each finds the
// best one by itself.
func (c *call) updateDomain() (any, error) {
	var in struct {
		Endpoint named `json:"sni_endpoint"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	o, err := c.findDomain()
	if err != nil || in.Endpoint == "" {
		return o, err
	}
	c.params["endpoint"] = string(in.Endpoint)
	_, v, err := c.findEndpoint()
	if err == nil && !covers(v, o["hostname"].(string)) {
		err = stead.Invalid("sni_endpoint", "this certificate is not good for "+o["hostname"].(string), "add one that is; a domain finds its certificate by itself")
	}
	return o, err
}
