package stead

import "testing"

func TestPolicyCheck(t *testing.T) {
	for name, c := range map[string]struct {
		p  RoutePolicy
		ok bool
	}{
		"none":                  {RoutePolicy{}, true},
		"shares":                {RoutePolicy{Destinations: []Destination{{Process: "web", Weight: 90}, {Process: "canary", Weight: 10, Pin: "header X-Canary=yes"}}}, true},
		"no weight":             {RoutePolicy{Destinations: []Destination{{Process: "web"}}}, false},
		"twice":                 {RoutePolicy{Destinations: []Destination{{Process: "web", Weight: 1}, {Process: "web", Weight: 1}}}, false},
		"negative":              {RoutePolicy{Destinations: []Destination{{Process: "web", Weight: -1}}}, false},
		"pin":                   {RoutePolicy{Destinations: []Destination{{Process: "web", Weight: 1, Pin: "query x=1"}}}, false},
		"pin with line end":     {RoutePolicy{Destinations: []Destination{{Process: "web", Weight: 1, Pin: "header X=a\r\nb"}}}, false},
		"nets":                  {RoutePolicy{Allow: []string{"192.0.2.0/24", "2001:db8::1"}, Deny: []string{"::/0"}}, true},
		"no net":                {RoutePolicy{Allow: []string{"example.com"}}, false},
		"redirect":              {RoutePolicy{Redirect: &Redirect{URL: "https://www.example.com{path}", Status: 308}}, true},
		"redirect here":         {RoutePolicy{Redirect: &Redirect{URL: "/new{path}"}}, true},
		"redirect by path":      {RoutePolicy{Redirect: &Redirect{URL: "{path}"}}, false},
		"redirect to //":        {RoutePolicy{Redirect: &Redirect{URL: "/{path}"}}, false},
		"redirect to a host":    {RoutePolicy{Redirect: &Redirect{URL: "https://www{path}.example.com"}}, false},
		"redirect to any host":  {RoutePolicy{Redirect: &Redirect{URL: "https://{path}"}}, false},
		"redirect to script":    {RoutePolicy{Redirect: &Redirect{URL: "javascript:alert(1)"}}, false},
		"redirect with a field": {RoutePolicy{Redirect: &Redirect{URL: "https://a.test/\r\nX: y"}}, false},
		"redirect 200":          {RoutePolicy{Redirect: &Redirect{URL: "https://a.test", Status: 200}}, false},
		"users":                 {RoutePolicy{BasicAuth: []Credential{{User: "ann", Password: "opensesame"}}}, true},
		"colon":                 {RoutePolicy{BasicAuth: []Credential{{User: "a:b", Password: "opensesame"}}}, false},
		"short":                 {RoutePolicy{BasicAuth: []Credential{{User: "ann", Password: "x"}}}, false},
		"rate":                  {RoutePolicy{Rate: &Rate{Requests: 10, Per: 60, By: "header X-Key"}}, true},
		"rate by moon":          {RoutePolicy{Rate: &Rate{Requests: 10, By: "moon"}}, false},
		"no rate":               {RoutePolicy{Rate: &Rate{}}, false},
		"long":                  {RoutePolicy{FirstByte: 4000}, false},
		"small head":            {RoutePolicy{MaxHead: 10}, false},
	} {
		if err := c.p.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
