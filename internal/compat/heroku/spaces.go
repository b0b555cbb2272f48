package heroku

import (
	"github.com/steadpaas/stead"
)

func spaceRoutes() []route {
	const s = "/spaces/{space}"
	return []route{
		{Method: "GET", Path: "/spaces", Title: "space: list", do: (*call).spaces},
		{Method: "POST", Path: "/spaces", Title: "space: create", do: (*call).createSpace},
		{Method: "GET", Path: s, Title: "space: info", do: (*call).spaceInfo},
		{Method: "PATCH", Path: s, Title: "space: update", why: "spaces keep their names"},
		{Method: "DELETE", Path: s, Title: "space: delete", why: "spaces are kept, with their audit trail"},
		{Method: "POST", Path: s + "/transfer", Title: "space: transfer", why: "a space stays in its org; transfer its apps"},
		{Method: "GET", Path: s + "/members", Title: "space access: list", do: (*call).spaceMembers},
		{Method: "GET", Path: s + "/members/{member}", Title: "space access: info", do: (*call).spaceMember},
		{Method: "PATCH", Path: s + "/members/{member}", Title: "space access: update", do: (*call).setSpaceMember},
	}
}

func (c *call) showSpace(s stead.Space) object {
	region := c.p.Regions()[0]
	return object{"id": s.ID, "name": s.Name, "organization": object{"name": s.Org}, "team": object{"id": s.OrgID, "name": s.Org},
		"region": object{"id": idOf("region", region), "name": region}, "shield": false, "state": "allocated",
		"generation": generation(), "created_at": stamp(s.CreatedAt), "updated_at": stamp(s.CreatedAt)}
}

func (c *call) spaces() (any, error) {
	all, err := c.p.Spaces(c.ctx, "")
	return each(all, c.showSpace), err
}

func (c *call) teamSpaces() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	all, err := c.p.Spaces(c.ctx, o.Name)
	return each(all, c.showSpace), err
}

// space finds a space by ID, by name if only one that the caller sees has it,
// or by "org/space".
func (c *call) space(ref string) (stead.Space, error) {
	all, err := c.p.Spaces(c.ctx, "")
	if err != nil {
		return stead.Space{}, err
	}
	var found []stead.Space
	for _, s := range all {
		if string(s.ID) == ref || s.Name == ref || s.Org+"/"+s.Name == ref {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return stead.Space{}, stead.NotFound("space", ref)
	case 1:
		return found[0], nil
	}
	return stead.Space{}, stead.Conflict("several spaces are named "+ref, "say which: "+found[0].Org+"/"+found[0].Name)
}

func (c *call) spaceInfo() (any, error) {
	s, err := c.space(c.params["space"])
	if err != nil {
		return nil, err
	}
	return c.showSpace(s), nil
}

func (c *call) createSpace() (any, error) {
	var in struct {
		Name string `json:"name"`
		Team named  `json:"team"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	s, err := c.p.CreateSpace(c.ctx, string(in.Team), in.Name)
	if err != nil {
		return nil, err
	}
	return c.created(c.showSpace(s)), nil
}

func showSpaceMember(s stead.Space) func(stead.Member) object {
	return func(m stead.Member) object {
		permissions := []object{{"name": "view", "description": "sees the space"}}
		if m.Role != stead.RoleAuditor {
			permissions = append(permissions, object{"name": "create_apps", "description": "makes and deploys apps in the space"})
		}
		return object{"id": idOf("member", string(s.ID), string(m.UserID)), "space": object{"id": s.ID, "name": s.Name}, "permissions": permissions,
			"user": object{"id": m.UserID, "email": m.Email}, "created_at": stamp(s.CreatedAt), "updated_at": stamp(s.CreatedAt)}
	}
}

func (c *call) spaceMembers() (any, error) {
	s, err := c.space(c.params["space"])
	if err != nil {
		return nil, err
	}
	all, err := c.p.Members(c.ctx, s.Org, s.Name)
	return each(all, showSpaceMember(s)), err
}

func (c *call) spaceMember() (any, error) {
	s, err := c.space(c.params["space"])
	if err != nil {
		return nil, err
	}
	m, err := c.findMember(stead.Org{Name: s.Org}, s.Name)
	return showSpaceMember(s)(m), err
}

// setSpaceMember gives who may create apps the role of a developer.
func (c *call) setSpaceMember() (any, error) {
	s, err := c.space(c.params["space"])
	if err != nil {
		return nil, err
	}
	var in struct {
		Permissions []struct {
			Name string `json:"name"`
		} `json:"permissions"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	role := stead.RoleAuditor
	for _, p := range in.Permissions {
		if p.Name == "create_apps" {
			role = stead.RoleDeveloper
		}
	}
	m, err := c.p.SetMember(c.ctx, s.Org, s.Name, c.params["member"], role)
	return showSpaceMember(s)(m), err
}
