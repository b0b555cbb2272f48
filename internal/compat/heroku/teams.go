package heroku

import (
	"strings"

	"github.com/steadpaas/stead"
)

func teamRoutes() []route {
	const t = "/teams/{team}"
	return []route{
		{Method: "GET", Path: "/teams", Title: "team: list", do: (*call).teams},
		{Method: "POST", Path: "/teams", Title: "team: create", do: (*call).createTeam},
		{Method: "GET", Path: t, Title: "team: info", do: (*call).teamInfo},
		{Method: "PATCH", Path: t, Title: "team: update", why: "orgs keep their names"},
		{Method: "DELETE", Path: t, Title: "team: delete", why: "orgs are kept, with their audit trail"},
		{Method: "GET", Path: t + "/members", Title: "team member: list", do: (*call).members},
		{Method: "PUT", Path: t + "/members", Title: "team member: create or update", do: (*call).setMember},
		{Method: "POST", Path: t + "/members", Title: "team member: create", do: (*call).addMember},
		{Method: "PATCH", Path: t + "/members", Title: "team member: update", do: (*call).setMember},
		{Method: "DELETE", Path: t + "/members/{member}", Title: "team member: delete", do: (*call).removeMember},
		{Method: "GET", Path: t + "/members/{member}/apps", Title: "team member: list apps", do: (*call).memberApps},
		{Method: "GET", Path: t + "/features", Title: "team feature: list", do: (*call).noneOfTeam, none: true},
		{Method: "GET", Path: t + "/features/{feature}", Title: "team feature: info", do: (*call).noTeamFeature, none: true},
		{Method: "GET", Path: t + "/delinquency", Title: "team: delinquency", do: (*call).teamDelinquency},
		{Method: "GET", Path: t + "/spaces", Title: "team space: list", do: (*call).teamSpaces},
		{Method: "GET", Path: t + "/permissions", Title: "permission entity: list", do: (*call).permissionEntities},
		{Method: "GET", Path: t + "/invitations", Title: "team invitation: list", do: (*call).noneOfTeam, none: true},
		{Method: "PUT", Path: t + "/invitations", Title: "team invitation: create", do: (*call).invite},
		{Method: "DELETE", Path: t + "/invitations/{invitation}", Title: "team invitation: revoke", do: (*call).noInvitation, none: true},
		{Method: "GET", Path: "/teams/invitations/{invitation}", Title: "team invitation: info", do: (*call).noInvitation, none: true},
		{Method: "POST", Path: "/teams/invitations/{invitation}/accept", Title: "team invitation: accept", do: (*call).noInvitation, none: true},
		{Method: "GET", Path: "/teams/permissions", Title: "permission: list", do: (*call).permissions},
	}
}

// roleName is a role in Heroku's words: an admin administers, a developer is a
// member, an auditor is a viewer, which the schema knows as a collaborator.
func roleName(r stead.Role) string {
	switch r {
	case stead.RoleAdmin:
		return "admin"
	case stead.RoleDeveloper:
		return "member"
	}
	return "collaborator"
}

func roleOf(name string) (stead.Role, error) {
	switch name {
	case "admin", "owner":
		return stead.RoleAdmin, nil
	case "member", "developer", "":
		return stead.RoleDeveloper, nil
	case "viewer", "collaborator", "auditor":
		return stead.RoleAuditor, nil
	}
	return "", stead.Invalid("role", "there is no role "+quote(name), "use admin, member or viewer")
}

func showTeam(o stead.Org, role any) object {
	return object{"id": o.ID, "name": o.Name, "type": "team", "role": role, "default": o.Name == stead.DefaultName, "credit_card_collections": false,
		"provisioned_licenses": false, "membership_limit": nil, "enterprise_account": nil, "identity_provider": nil,
		"created_at": stamp(o.CreatedAt), "updated_at": stamp(o.CreatedAt)}
}

// myRole is the caller's in an org, or none if it may not see its members.
func (c *call) myRole(org string) any {
	all, err := c.p.Members(c.ctx, org, "")
	for _, m := range all {
		if err == nil && m.UserID == c.actor.UserID {
			return roleName(m.Role)
		}
	}
	return nil
}

func (c *call) teams() (any, error) {
	all, err := c.p.Orgs(c.ctx)
	return each(all, func(o stead.Org) object { return showTeam(o, c.myRole(o.Name)) }), err
}

func (c *call) createTeam() (any, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	o, err := c.p.CreateOrg(c.ctx, in.Name)
	return c.created(showTeam(o, "admin")), err
}

// team is the org that the path names.
func (c *call) team() (stead.Org, error) {
	all, err := c.p.Orgs(c.ctx)
	for _, o := range all {
		if ref := strings.TrimSuffix(c.params["team"], teamDomain); o.Name == ref || string(o.ID) == ref {
			return o, nil
		}
	}
	if err == nil {
		err = stead.NotFound("org", c.params["team"])
	}
	return stead.Org{}, err
}

func (c *call) teamInfo() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	return showTeam(o, c.myRole(o.Name)), nil
}

func (c *call) teamDelinquency() (any, error) {
	if _, err := c.team(); err != nil {
		return nil, err
	}
	return c.delinquency()
}

func showMember(o stead.Org) func(stead.Member) object {
	return func(m stead.Member) object {
		return object{"id": idOf("member", string(m.OrgID), string(m.SpaceID), string(m.UserID)), "email": m.Email, "federated": false, "role": roleName(m.Role),
			"two_factor_authentication": false, "identity_provider": nil, "created_at": stamp(o.CreatedAt), "updated_at": stamp(o.CreatedAt),
			"user": object{"id": m.UserID, "email": m.Email, "name": nil}}
	}
}

func (c *call) members() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	all, err := c.p.Members(c.ctx, o.Name, "")
	return each(all, showMember(o)), err
}

func (c *call) setMember() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	var in struct {
		Email string `json:"email"`
		User  string `json:"user"`
		Role  string `json:"role"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role, err := roleOf(in.Role)
	if err != nil {
		return nil, err
	}
	if in.Email == "" {
		in.Email = in.User
	}
	m, err := c.p.SetMember(c.ctx, o.Name, "", in.Email, role)
	return showMember(o)(m), err
}

func (c *call) addMember() (any, error) {
	m, err := c.setMember()
	return c.created(m), err
}

func (c *call) findMember(o stead.Org, space string) (stead.Member, error) {
	all, err := c.p.Members(c.ctx, o.Name, space)
	for _, m := range all {
		if ref := c.params["member"]; strings.EqualFold(m.Email, ref) || string(m.UserID) == ref || showMember(o)(m)["id"] == ref {
			return m, nil
		}
	}
	if err == nil {
		err = stead.NotFound("member", c.params["member"])
	}
	return stead.Member{}, err
}

func (c *call) removeMember() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	m, err := c.findMember(o, "")
	if err != nil {
		return nil, err
	}
	return showMember(o)(m), c.p.RemoveMember(c.ctx, o.Name, "", m.Email)
}

// memberApps are the team's apps: a member sees all of them.
func (c *call) memberApps() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	if _, err := c.findMember(o, ""); err != nil {
		return nil, err
	}
	return c.teamApps()
}

// invite adds who has an account; others are made one by an administrator.
func (c *call) invite() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	member, err := c.setMember()
	if err != nil {
		return nil, err
	}
	me, err := c.p.Me(c.ctx)
	if err != nil {
		return nil, err
	}
	m, at := member.(object), stamp(c.now())
	return object{"id": m["id"], "role": m["role"], "created_at": at, "updated_at": at, "user": m["user"],
		"team":       object{"id": o.ID, "name": o.Name},
		"invited_by": object{"id": me.ID, "email": me.Email, "name": orNull(me.Name)}}, nil
}

func (c *call) noInvitation() (any, error) {
	return nil, stead.NotFound("invitation", c.params["invitation"])
}

func (c *call) noTeamFeature() (any, error) {
	if _, err := c.team(); err != nil {
		return nil, err
	}
	return c.noFeature()
}
