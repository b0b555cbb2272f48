package converge

import (
	"reflect"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// view is an app with what its plan serves by.
type view struct {
	in       platform.Intent
	serve    map[string]Share
	live     bool // has a release that serves
	statuses []engine.Status
}

// rules computes the routes of an app: only instances that are up, within the
// quantity, of the workloads that serve.
func (v view) rules() []route.Rule {
	out := make([]route.Rule, 0, len(v.in.Routes))
	for i := range v.in.Routes {
		r := &v.in.Routes[i]
		p := processOf(v.in.Processes, r.Process)
		rule := route.Rule{
			Host: r.Host, Path: r.Path, StripPrefix: r.StripPrefix, App: v.in.App.ID, AppName: v.in.App.Name,
			LogStream: logs.AppStream(v.in.App.ID), Process: r.Process, Maintenance: v.in.App.Maintenance,
			Released: v.live, Quantity: quantity(p),
			Wake: p.IdleAfter > 0 && p.Quantity > 0 && !p.Stopped,
		}
		if p := r.Policy; !reflect.ValueOf(p).IsZero() {
			rule.Policy, rule.Passwords = &p, r.Passwords
		}
		v.fill(&rule, r.Policy.Destinations)
		out = append(out, rule)
	}
	return out
}

// fill adds the instances of the rule's process, or of its destinations.
func (v view) fill(rule *route.Rule, shares []stead.Destination) {
	if len(shares) == 0 {
		var crashed bool
		rule.Backends, crashed = v.backends(rule.Process, rule.Quantity)
		rule.Crashed = crashed
		return
	}
	rule.Quantity, rule.Crashed = 0, true
	for _, d := range shares {
		n := quantity(processOf(v.in.Processes, d.Process))
		b, crashed := v.backends(d.Process, n)
		rule.Quantity += n
		rule.Crashed = rule.Crashed && (crashed || n == 0)
		rule.Destinations = append(rule.Destinations, route.Destination{Process: d.Process, Weight: d.Weight, Pin: d.Pin, Backends: b})
	}
	rule.Crashed = rule.Crashed && rule.Quantity > 0
}

// backends returns the instances of a process that may be given requests;
// crashed: there is none because all have crashed.
func (v view) backends(process string, quantity int) (out []route.Backend, crashed bool) {
	share := v.serve[process]
	fallen, others := 0, 0
	for _, st := range v.statuses {
		_, index := splitName(st.Name)
		if limit, ok := share[st.Workload]; !ok || index > min(limit, quantity) {
			continue
		}
		switch {
		case st.State == engine.StateUp && st.Address.IsValid():
			out = append(out, route.Backend{Instance: st.Instance, Name: st.Name, Address: st.Address.String()})
		case st.State == engine.StateCrashed:
			fallen++
		default:
			others++
		}
	}
	return out, len(out) == 0 && fallen > 0 && others == 0
}

// buildTable computes the routes of all apps, in a fixed order.
func buildTable(views []view) *route.Table {
	out := []route.Rule{}
	var pages map[stead.ID]stead.Pages
	for _, v := range views {
		if v.in.Destroyed {
			continue
		}
		out = append(out, v.rules()...)
		if v.in.Pages != (stead.Pages{}) {
			if pages == nil {
				pages = map[stead.ID]stead.Pages{}
			}
			pages[v.in.App.ID] = v.in.Pages
		}
	}
	slices.SortFunc(out, func(a, b route.Rule) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return &route.Table{Routes: out, Pages: pages}
}

// instances converts what an engine says of an app to the platform's words.
func instances(in platform.Intent, statuses []engine.Status) []stead.Instance {
	out := make([]stead.Instance, 0, len(statuses))
	for _, st := range statuses {
		process, _ := splitName(st.Name)
		id, _ := ParseIdent(st.Workload)
		out = append(out, stead.Instance{
			Name: st.Name, AppID: in.App.ID, Process: process, Release: id.Release,
			State: stead.InstanceState(st.State), Reason: st.Reason, ExitCode: st.ExitCode,
			Restarts: st.Restarts, Size: processOf(in.Processes, process).Size,
			Region: in.App.Region, Node: st.Node, Since: st.Since, Ref: st.Instance,
		})
	}
	return out
}
