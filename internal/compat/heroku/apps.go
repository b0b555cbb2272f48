package heroku

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

func appRoutes() []route {
	return []route{
		{Method: "POST", Path: "/apps", Title: "app: create", do: (*call).createApp},
		{Method: "GET", Path: "/apps", Title: "app: list", do: (*call).apps},
		{Method: "GET", Path: "/apps/{app}", Title: "app: info", do: (*call).appInfo},
		{Method: "PATCH", Path: "/apps/{app}", Title: "app: update", do: (*call).updateApp},
		{Method: "DELETE", Path: "/apps/{app}", Title: "app: delete", do: (*call).destroyApp},
		{Method: "GET", Path: "/users/{user}/apps", Title: "app: list owned and collaborated", do: (*call).userApps},
		{Method: "POST", Path: "/filters/apps", Title: "filter: apps", do: (*call).filterApps},
		{Method: "POST", Path: "/teams/apps", Title: "team app: create", do: (*call).createApp},
		{Method: "GET", Path: "/teams/apps/{app}", Title: "team app: info", do: (*call).teamApp},
		{Method: "PATCH", Path: "/teams/apps/{app}", Title: "team app: update, transfer", do: (*call).updateTeamApp},
		{Method: "GET", Path: "/teams/{team}/apps", Title: "team app: list by team", do: (*call).teamApps},
	}
}

// teamDomain ends the address by which Heroku shows a team as an app's owner.
const teamDomain = "@herokumanager.com"

// owner is the team's address, or for the default org's apps, which belong to
// no team, the caller.
func (c *call) owner(a stead.App) object {
	if a.Org == stead.DefaultName {
		return object{"id": c.actor.UserID, "email": c.actor.Email}
	}
	return object{"id": a.OrgID, "email": a.Org + teamDomain}
}

func (c *call) showApp(a stead.App) object {
	var team, space any
	if a.Org != stead.DefaultName {
		team = object{"id": a.OrgID, "name": a.Org}
	}
	if a.Space != stead.DefaultName {
		space = object{"id": a.SpaceID, "name": a.Space, "shield": false}
	}
	stack := object{"id": idOf("stack", stackName), "name": stackName}
	return object{"id": a.ID, "name": a.Name, "web_url": strings.TrimSuffix(a.URL, "/") + "/", "git_url": a.GitURL, "owner": c.owner(a),
		"team": team, "organization": team, "space": space, "region": object{"id": idOf("region", a.Region), "name": a.Region},
		"stack": stack, "build_stack": stack, "generation": generation(), "maintenance": a.Maintenance, "acm": false, "internal_routing": nil,
		"archived_at": nil, "released_at": nil, "buildpack_provided_description": nil, "create_status": "complete",
		"repo_size": 0, "slug_size": 0, "created_at": stamp(a.CreatedAt), "updated_at": stamp(a.UpdatedAt)}
}

// detail is an app with what its release says of it.
func (c *call) detail(a stead.App) (object, error) {
	o := c.showApp(a)
	acm, err := c.acm(a)
	if o["acm"] = acm; err != nil || a.Release == 0 {
		return o, err
	}
	r, err := c.p.Release(c.ctx, string(a.ID), 0)
	if err != nil {
		return nil, err
	}
	o["released_at"], o["slug_size"] = stampOrNull(r.LiveAt), r.Image.Size
	if b, ok, err := c.buildOf(string(a.ID), r.BuildID); err != nil {
		return nil, err
	} else if ok && b.Pack != "" {
		o["buildpack_provided_description"] = b.Pack
	}
	return o, nil
}

func (c *call) apps() (any, error) {
	all, err := c.p.Apps(c.ctx, "", "")
	return each(all, c.showApp), err
}

func (c *call) userApps() (any, error) {
	if _, err := c.me(); err != nil {
		return nil, err
	}
	return c.apps()
}

func (c *call) teamApps() (any, error) {
	all, err := c.p.Apps(c.ctx, c.params["team"], "")
	return each(all, c.showTeamApp), err
}

func (c *call) filterApps() (any, error) {
	var in struct {
		In struct {
			ID []stead.ID `json:"id"`
		} `json:"in"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	all, err := c.p.Apps(c.ctx, "", "")
	all = slices.DeleteFunc(all, func(a stead.App) bool { return !slices.Contains(in.In.ID, a.ID) })
	return each(all, c.showApp), err
}

func (c *call) appInfo() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	return c.detail(a)
}

// named reads what Heroku lets be given as a name or as an object with one.
type named string

// UnmarshalJSON reads "name", {"name": "name"} or {"id": "id"}.
func (n *named) UnmarshalJSON(b []byte) error {
	var o struct{ Name, ID string }
	if err := json.Unmarshal(b, &o); err == nil {
		*n = named(cmp.Or(o.Name, o.ID))
		return nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	*n = named(s)
	return err
}

func (c *call) createApp() (any, error) {
	var in struct {
		Name         string
		Region       named
		Stack        named
		Team         named
		Organization named
		Space        named
		Locked       bool
		Personal     bool
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkStack(string(in.Stack)); err != nil {
		return nil, err
	}
	org, space, err := c.place(cmp.Or(string(in.Team), string(in.Organization)), string(in.Space))
	if err != nil {
		return nil, err
	}
	region := string(in.Region)
	if region == "us" || region == "eu" { // Heroku's common runtime: wherever apps go by default
		region = ""
	}
	a, err := c.p.CreateApp(c.ctx, platform.NewApp{Name: in.Name, Org: org, Space: space, Region: region})
	if err != nil {
		return nil, err
	}
	return c.created(c.showTeamApp(a)), nil
}

// place finds the org of a space that was named alone, as Heroku's spaces are
// named for themselves.
func (c *call) place(org, space string) (string, string, error) {
	if org != "" || space == "" {
		return org, space, nil
	}
	s, err := c.space(space)
	return s.Org, s.Name, err
}

func (c *call) updateApp() (any, error) {
	var in struct {
		Name        *string `json:"name"`
		Maintenance *bool   `json:"maintenance"`
		BuildStack  named   `json:"build_stack"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkStack(string(in.BuildStack)); err != nil {
		return nil, err
	}
	a, err := c.p.UpdateApp(c.ctx, c.app(), platform.AppPatch{Name: in.Name, Maintenance: in.Maintenance})
	if err != nil {
		return nil, err
	}
	return c.detail(a)
}

func (c *call) destroyApp() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	return c.showApp(a), c.p.DestroyApp(c.ctx, string(a.ID))
}

func (c *call) showTeamApp(a stead.App) object {
	o := c.showApp(a)
	o["joined"], o["locked"] = true, false
	return o
}

func (c *call) teamApp() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	o, err := c.detail(a)
	if err == nil {
		o["joined"], o["locked"] = true, false
	}
	return o, err
}

// updateTeamApp moves an app to another team.
func (c *call) updateTeamApp() (any, error) {
	var in struct {
		Owner  *named `json:"owner"`
		Locked *bool  `json:"locked"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Locked != nil && *in.Locked {
		return nil, stead.Invalid("locked", "apps cannot be locked: roles say who may join", "leave it out")
	}
	if in.Owner == nil {
		return c.teamApp()
	}
	org := strings.TrimSuffix(string(*in.Owner), teamDomain)
	if strings.Contains(org, "@") {
		return nil, transferToPerson()
	}
	a, err := c.p.MoveApp(c.ctx, c.app(), org, "")
	return c.showTeamApp(a), err
}

func transferToPerson() error {
	return stead.Invalid("recipient", "apps belong to teams, not to people", "transfer it to a team, or give the person access: heroku access:add")
}

func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}
