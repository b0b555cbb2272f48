package converge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

func TestTableOfShares(t *testing.T) {
	web, canary := at("v1 web.1 up"), at("v1 canary.1 up")
	canary.Address = web.Address
	down := at("v1 beta.1 crashed")
	in := platform.Intent{App: stead.App{ID: appID, Name: "shop"}, Pages: stead.Pages{Error: "<p>oh"}}
	for _, p := range []string{"web", "canary", "beta", "off"} {
		x := stead.DefaultProcess(p)
		x.Quantity = 1
		in.Processes = append(in.Processes, x)
	}
	in.Processes[3].Quantity = 0
	to := func(shares ...string) stead.Route {
		r := stead.Route{Host: "a.test", Path: "/", Process: "web", Passwords: map[string]string{"ann": "x"}}
		for _, s := range shares {
			r.Policy.Destinations = append(r.Policy.Destinations, stead.Destination{Process: s, Weight: 1})
		}
		return r
	}
	table := func(r stead.Route) *route.Table {
		in.Routes = []stead.Route{r}
		serve := map[string]Share{"web": {web.Workload: 1}, "canary": {canary.Workload: 1}, "beta": {down.Workload: 1}}
		return buildTable([]view{{in: in, serve: serve, live: true, statuses: []engine.Status{web, canary, down}}})
	}
	got := table(to("web", "canary"))
	r := got.Routes[0]
	names := []string{r.Destinations[0].Backends[0].Name, r.Destinations[1].Backends[0].Name}
	if d := cmp.Diff([]string{"web.1", "canary.1"}, names); d != "" || r.Quantity != 2 || r.Crashed || r.Policy == nil || r.Passwords["ann"] != "x" {
		t.Errorf("%s %+v", d, r)
	}
	if got.Pages[appID].Error != "<p>oh" {
		t.Errorf("pages %v", got.Pages)
	}
	if r := table(to("beta", "off")).Routes[0]; !r.Crashed || r.Quantity != 1 {
		t.Errorf("all crashed or off: %+v", r)
	}
	if r := table(to("off")).Routes[0]; r.Crashed || r.Quantity != 0 {
		t.Errorf("all off: %+v", r)
	}
	if r := table(to()).Routes[0]; r.Policy != nil || len(r.Destinations) != 0 || len(r.Backends) != 1 {
		t.Errorf("no policy: %+v", r)
	}
}

// TestRoutedProcessBinds has a process get a port, in a new workload, when a
// route sends requests to it.
func TestRoutedProcessBinds(t *testing.T) {
	in := platform.Intent{Live: spec(1, stead.ReleaseLive, "canary", "worker")}
	before := workloads(in, in.Live, stead.Sizes())
	in.Routes = []stead.Route{{Process: "web", Policy: stead.RoutePolicy{Destinations: []stead.Destination{{Process: "canary", Weight: 1}}}}}
	after := workloads(in, in.Live, stead.Sizes())
	if before["canary"].Port != 0 || after["canary"].Port != Port || before["canary"].ID == after["canary"].ID {
		t.Errorf("before %+v, after %+v", before["canary"], after["canary"])
	}
	if after["worker"].Port != 0 || before["worker"].ID != after["worker"].ID || before["web"].ID != after["web"].ID {
		t.Error("others changed")
	}
}
