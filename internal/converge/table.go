package converge

import (
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
	for _, r := range v.in.Routes {
		p := processOf(v.in.Processes, r.Process)
		rule := route.Rule{
			Host: r.Host, Path: r.Path, StripPrefix: r.StripPrefix, App: v.in.App.ID, AppName: v.in.App.Name,
			LogStream: logs.AppStream(v.in.App.ID), Process: r.Process, Maintenance: v.in.App.Maintenance,
			Released: v.live, Quantity: quantity(p),
			Wake: p.IdleAfter > 0 && p.Quantity > 0 && !p.Stopped,
		}
		v.fill(&rule)
		out = append(out, rule)
	}
	return out
}

func (v view) fill(rule *route.Rule) {
	share := v.serve[rule.Process]
	crashed, others := 0, 0
	for _, st := range v.statuses {
		_, index := splitName(st.Name)
		if limit, ok := share[st.Workload]; !ok || index > min(limit, rule.Quantity) {
			continue
		}
		switch {
		case st.State == engine.StateUp && st.Address.IsValid():
			rule.Backends = append(rule.Backends, route.Backend{Instance: st.Instance, Name: st.Name, Address: st.Address.String()})
		case st.State == engine.StateCrashed:
			crashed++
		default:
			others++
		}
	}
	rule.Crashed = len(rule.Backends) == 0 && crashed > 0 && others == 0
}

// buildTable computes the routes of all apps, in a fixed order.
func buildTable(views []view) []route.Rule {
	out := []route.Rule{}
	for _, v := range views {
		if !v.in.Destroyed {
			out = append(out, v.rules()...)
		}
	}
	slices.SortFunc(out, func(a, b route.Rule) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return out
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
