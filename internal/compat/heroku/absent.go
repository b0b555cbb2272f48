package heroku

import "github.com/steadpaas/stead"

// noneAtAll answers with the empty list of what Stead has none of.
func (c *call) noneAtAll() (any, error) { return []object{}, nil }

func (c *call) noneOfApp() (any, error) {
	_, err := c.p.App(c.ctx, c.app())
	return []object{}, err
}

func (c *call) noneOfTeam() (any, error) {
	_, err := c.team()
	return []object{}, err
}

func (c *call) noneOfMe() (any, error) {
	_, err := c.me()
	return []object{}, err
}

func (c *call) noneOfSpace() (any, error) {
	_, err := c.space(c.params["space"])
	return []object{}, err
}

// noneOfRegion also knows the regions.
func (c *call) noneOfRegion() (any, error) {
	if _, err := c.region(); err != nil {
		return nil, err
	}
	return []object{}, nil
}

// missing answers that a thing of a kind that Stead has none of is not there.
func missing(noun, parameter string) func(*call) (any, error) {
	return func(c *call) (any, error) { return nil, stead.NotFound(noun, c.params[parameter]) }
}

// Reasons that many routes share.
const (
	whyServices  = "services are not offered through this API yet"
	whyReviews   = "review apps and app.json are not offered through this API yet"
	whyMoves     = "a pipeline stays in its org"
	whyWebhooks  = "webhooks are not offered through this API yet"
	whyTelemetry = "there are no telemetry drains; drain the log"
	whyTests     = "test runs are not offered through this API yet"
	whyBills     = "Stead sends no bills"
	whyCompany   = "an enterprise account is the whole platform; its administrators use stead"
	whyNetworks  = "a space has no network of its own: each app has"
	whySMS       = "there are no SMS numbers"
	whyOAuth     = "there are no OAuth clients; make a token: heroku authorizations:create"
	whyLogins    = "an administrator connects the company's identity provider to the platform, not a team"
	whyPassword  = "an administrator sets a lost password: stead users password"
	whyPrefs     = "there are no preferences to keep"
	whyTransfer  = "apps belong to teams, not to people: heroku apps:transfer TEAM"
	whyUsage     = "usage is not counted in dyno hours"
)

func absentRoutes() []route {
	var out []route
	for _, g := range [][]route{serviceRoutes(), reviewRoutes(), webhookRoutes(), billRoutes(), companyRoutes(), networkRoutes(), personRoutes()} {
		out = append(out, g...)
	}
	return out
}

// lack is a route that is not offered.
func lack(method, path, title, why string) route {
	return route{Method: method, Path: path, Title: title, why: why}
}

// empty is a read that truthfully finds nothing.
func empty(path, title string, do func(*call) (any, error)) route {
	return route{Method: "GET", Path: path, Title: title, do: do, none: true}
}

func serviceRoutes() []route {
	const a, addon, at = "/apps/{app}/addons", "/addons/{addon}", "/addon-attachments"
	return []route{
		empty("/addons", "add-on: list", (*call).noneAtAll), empty(addon, "add-on: info", missing("add_on", "addon")),
		empty(a, "add-on: list by app", (*call).noneOfApp), empty(a+"/{addon}", "add-on: info by app", missing("add_on", "addon")),
		lack("POST", a, "add-on: create", whyServices), lack("PATCH", a+"/{addon}", "add-on: update", whyServices), lack("DELETE", a+"/{addon}", "add-on: delete", whyServices),
		empty("/users/{user}/addons", "add-on: list by user", (*call).noneOfMe), empty("/teams/{team}/addons", "add-on: list by team", (*call).noneOfTeam),
		lack("POST", "/actions/addons/resolve", "add-on: resolution", whyServices),
		empty(at, "add-on attachment: list", (*call).noneAtAll), empty(at+"/{attachment}", "add-on attachment: info", missing("add_on_attachment", "attachment")),
		lack("POST", at, "add-on attachment: create", whyServices), lack("DELETE", at+"/{attachment}", "add-on attachment: delete", whyServices),
		empty(addon+at, "add-on attachment: list by add-on", missing("add_on", "addon")), empty("/apps/{app}"+at, "add-on attachment: list by app", (*call).noneOfApp),
		empty("/apps/{app}"+at+"/{attachment}", "add-on attachment: info by app", missing("add_on_attachment", "attachment")),
		lack("POST", "/actions/addon-attachments/resolve", "add-on attachment: resolution", whyServices),
		empty(addon+"/config", "add-on config: list", missing("add_on", "addon")), lack("PATCH", addon+"/config", "add-on config: update", whyServices),
		lack("POST", addon+"/actions/provision", "add-on action: provision", whyServices), lack("POST", addon+"/actions/deprovision", "add-on action: deprovision", whyServices),
		empty("/addon-services", "add-on service: list", (*call).noneAtAll), empty("/addon-services/{service}", "add-on service: info", missing("add_on_service", "service")),
		empty("/addon-services/{service}/plans", "plan: list by add-on service", missing("add_on_service", "service")),
		empty("/addon-services/{service}/plans/{plan}", "plan: info by add-on service", missing("plan", "plan")), empty("/plans/{plan}", "plan: info", missing("plan", "plan")),
		empty("/addon-region-capabilities", "add-on region capability: list", (*call).noneAtAll),
		empty("/addon-services/{service}/region-capabilities", "add-on region capability: list by service", missing("add_on_service", "service")),
		empty("/regions/{region}/addon-region-capabilities", "add-on region capability: list by region", (*call).noneOfRegion),
		empty("/teams/{team}/allowed-addon-services", "allowed add-on service: list", (*call).noneOfTeam),
		lack("POST", "/teams/{team}/allowed-addon-services", "allowed add-on service: create", whyServices),
		lack("DELETE", "/teams/{team}/allowed-addon-services/{service}", "allowed add-on service: delete", whyServices),
	}
}

func reviewRoutes() []route {
	const p = "/pipelines/{pipeline}"
	return []route{
		lack("GET", p+"/stage/{stage}/config-vars", "pipeline config vars: info", whyTests),
		lack("PATCH", p+"/stage/{stage}/config-vars", "pipeline config vars: update", whyTests),
		lack("POST", "/pipeline-transfers", "pipeline transfer: create", whyMoves),
		lack("POST", "/review-apps", "review app: create", whyReviews), empty("/review-apps/{review}", "review app: info", missing("review_app", "review")),
		lack("DELETE", "/review-apps/{review}", "review app: delete", whyReviews), empty("/apps/{app}/review-app", "review app: info by app", (*call).noReviewApp),
		empty(p+"/review-apps", "review app: list", (*call).noneOfPipeline),
		lack("POST", p+"/review-app-config", "review app config: enable", whyReviews), empty(p+"/review-app-config", "review app config: info", missing("review_app_config", "pipeline")),
		lack("PATCH", p+"/review-app-config", "review app config: update", whyReviews), lack("DELETE", p+"/review-app-config", "review app config: delete", whyReviews),
		lack("POST", "/app-setups", "app setup: create", whyReviews), empty("/app-setups/{setup}", "app setup: info", missing("app_setup", "setup")),
		lack("POST", "/test-runs", "test run: create", whyTests), empty("/test-runs/{run}", "test run: info", missing("test_run", "run")),
		lack("PATCH", "/test-runs/{run}", "test run: update", whyTests), empty("/test-runs/{run}/test-cases", "test case: list", missing("test_run", "run")),
		empty("/test-runs/{run}/test-nodes", "test node: list", missing("test_run", "run")), empty(p+"/test-runs", "test run: list", (*call).noneOfPipeline),
		empty(p+"/test-runs/{number}", "test run: info by pipeline", missing("test_run", "number")),
	}
}

func (c *call) noneOfPipeline() (any, error) {
	_, err := c.pipeline()
	return []object{}, err
}

func (c *call) noReviewApp() (any, error) {
	if _, err := c.p.App(c.ctx, c.app()); err != nil {
		return nil, err
	}
	return nil, stead.NotFound("review_app", "of this app")
}

func webhookRoutes() []route {
	out := []route{}
	for _, at := range []struct {
		path, title string
		list        func(*call) (any, error)
	}{{"/apps/{app}", "app webhook", (*call).noneOfApp}, {"/addons/{addon}", "add-on webhook", missing("add_on", "addon")}} {
		out = append(out,
			empty(at.path+"/webhooks", at.title+": list", at.list), lack("POST", at.path+"/webhooks", at.title+": create", whyWebhooks),
			empty(at.path+"/webhooks/{webhook}", at.title+": info", missing("webhook", "webhook")),
			lack("PATCH", at.path+"/webhooks/{webhook}", at.title+": update", whyWebhooks), lack("DELETE", at.path+"/webhooks/{webhook}", at.title+": delete", whyWebhooks),
			empty(at.path+"/webhook-events", at.title+" event: list", at.list), empty(at.path+"/webhook-events/{event}", at.title+" event: info", missing("webhook_event", "event")),
			empty(at.path+"/webhook-deliveries", at.title+" delivery: list", at.list),
			empty(at.path+"/webhook-deliveries/{delivery}", at.title+" delivery: info", missing("webhook_delivery", "delivery")))
	}
	return out
}

func billRoutes() []route {
	const a = "/account/"
	return []route{
		empty(a+"credits", "credit: list", (*call).noneAtAll), empty(a+"credits/{credit}", "credit: info", missing("credit", "credit")), lack("POST", a+"credits", "credit: create", whyBills),
		empty(a+"invoices", "invoice: list", (*call).noneAtAll), empty(a+"invoices/{invoice}", "invoice: info", missing("invoice", "invoice")),
		lack("GET", a+"invoice-address", "invoice address: info", whyBills), lack("PUT", a+"invoice-address", "invoice address: update", whyBills),
		empty("/teams/{team}/invoices", "team invoice: list", (*call).noneOfTeam), empty("/teams/{team}/invoices/{invoice}", "team invoice: info", missing("invoice", "invoice")),
		lack("GET", "/teams/{team}/usage/daily", "team usage: daily", whyUsage), lack("GET", "/teams/{team}/usage/monthly", "team usage: monthly", whyUsage),
	}
}

func companyRoutes() []route {
	const e = "/enterprise-accounts/{enterprise}"
	no := missing("enterprise_account", "enterprise")
	return []route{
		empty("/enterprise-accounts", "enterprise account: list", (*call).noneAtAll), empty(e, "enterprise account: info", no), lack("PATCH", e, "enterprise account: update", whyCompany),
		empty(e+"/members", "enterprise account member: list", no), lack("POST", e+"/members", "enterprise account member: create", whyCompany),
		lack("PATCH", e+"/members/{member}", "enterprise account member: update", whyCompany), lack("DELETE", e+"/members/{member}", "enterprise account member: delete", whyCompany),
		empty(e+"/usage/daily", "enterprise account usage: daily", no), empty(e+"/usage/monthly", "enterprise account usage: monthly", no),
		empty(e+"/archives", "archive: list", no), empty(e+"/archives/{year}/{month}", "archive: info", no), empty(e+"/events", "audit trail event: list", no),
		empty(e+"/teams", "team: list by enterprise account", no), lack("POST", e+"/teams", "team: create in enterprise account", whyCompany),
	}
}

func networkRoutes() []route {
	const s = "/spaces/{space}"
	return []route{
		lack("GET", s+"/inbound-ruleset", "inbound ruleset: current", whyNetworks), lack("PUT", s+"/inbound-ruleset", "inbound ruleset: create", whyNetworks),
		empty(s+"/inbound-rulesets", "inbound ruleset: list", (*call).noneOfSpace), empty(s+"/inbound-rulesets/{ruleset}", "inbound ruleset: info", missing("inbound_ruleset", "ruleset")),
		empty(s+"/peerings", "peering: list", (*call).noneOfSpace), empty(s+"/peerings/{peering}", "peering: info", missing("peering", "peering")),
		lack("POST", s+"/peerings/{peering}/actions/accept", "peering: accept", whyNetworks), lack("DELETE", s+"/peerings/{peering}", "peering: destroy", whyNetworks),
		lack("GET", s+"/peering-info", "peering: info for a space", whyNetworks), lack("GET", s+"/nat", "space NAT: info", whyNetworks), lack("GET", s+"/topology", "space topology: info", whyNetworks),
		empty(s+"/vpn-connections", "VPN connection: list", (*call).noneOfSpace), empty(s+"/vpn-connections/{vpn}", "VPN connection: info", missing("vpn_connection", "vpn")),
		lack("POST", s+"/vpn-connections", "VPN connection: create", whyNetworks), lack("PATCH", s+"/vpn-connections/{vpn}", "VPN connection: update", whyNetworks),
		lack("DELETE", s+"/vpn-connections/{vpn}", "VPN connection: destroy", whyNetworks),
	}
}

func personRoutes() []route {
	const t, o, idp = "/account/app-transfers", "/oauth/clients", "/teams/{team}/identity-providers"
	return []route{
		empty(t, "app transfer: list", (*call).noneAtAll), empty(t+"/{transfer}", "app transfer: info", missing("app_transfer", "transfer")),
		lack("POST", t, "app transfer: create", whyTransfer), lack("PATCH", t+"/{transfer}", "app transfer: update", whyTransfer), lack("DELETE", t+"/{transfer}", "app transfer: delete", whyTransfer),
		empty(o, "OAuth client: list", (*call).noneAtAll), empty(o+"/{client}", "OAuth client: info", missing("oauth_client", "client")), lack("POST", o, "OAuth client: create", whyOAuth),
		lack("PATCH", o+"/{client}", "OAuth client: update", whyOAuth), lack("DELETE", o+"/{client}", "OAuth client: delete", whyOAuth),
		lack("POST", o+"/{client}/actions/rotate-credentials", "OAuth client: rotate credentials", whyOAuth),
		lack("POST", "/oauth/tokens", "OAuth token: create", whyOAuth), lack("DELETE", "/oauth/tokens/{token}", "OAuth token: delete", whyOAuth),
		empty(idp, "identity provider: list", (*call).noneOfTeam), lack("POST", idp, "identity provider: create", whyLogins),
		lack("PATCH", idp+"/{provider}", "identity provider: update", whyLogins), lack("DELETE", idp+"/{provider}", "identity provider: delete", whyLogins),
		lack("POST", "/password-resets", "password reset: create", whyPassword), lack("POST", "/password-resets/{reset}/actions/finalize", "password reset: finalize", whyPassword),
		lack("GET", "/users/{user}/sms-number", "SMS number: info", whySMS), lack("POST", "/users/{user}/sms-number/actions/recover", "SMS number: recover", whySMS),
		lack("POST", "/users/{user}/sms-number/actions/confirm", "SMS number: confirm", whySMS),
		lack("GET", "/users/{user}/preferences", "user preferences: list", whyPrefs), lack("PATCH", "/users/{user}/preferences", "user preferences: update", whyPrefs),
		lack("GET", "/teams/{team}/preferences", "team preferences: list", whyPrefs), lack("PATCH", "/teams/{team}/preferences", "team preferences: update", whyPrefs),
		lack("GET", "/apps/{app}/oci-images/{image}", "OCI image: info", "images are in the platform's registry; slugs tell their digest"),
		lack("POST", "/apps/{app}/oci-images", "OCI image: create", "push it to the platform's registry: docker push HOST/APP"),
	}
}
