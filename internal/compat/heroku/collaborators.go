package heroku

import (
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

func collaboratorRoutes() []route {
	const a, t = "/apps/{app}/collaborators", "/teams/apps/{app}/collaborators"
	return []route{
		{Method: "GET", Path: a, Title: "collaborator: list", do: (*call).collaborators},
		{Method: "POST", Path: a, Title: "collaborator: create", do: (*call).addCollaborator},
		{Method: "GET", Path: a + "/{collaborator}", Title: "collaborator: info", do: (*call).collaborator},
		{Method: "DELETE", Path: a + "/{collaborator}", Title: "collaborator: delete", do: (*call).removeCollaborator},
		{Method: "GET", Path: t, Title: "team app collaborator: list", do: (*call).collaborators},
		{Method: "POST", Path: t, Title: "team app collaborator: create", do: (*call).addCollaborator},
		{Method: "GET", Path: t + "/{collaborator}", Title: "team app collaborator: info", do: (*call).collaborator},
		{Method: "PATCH", Path: t + "/{collaborator}", Title: "team app collaborator: update", do: (*call).updateCollaborator},
		{Method: "DELETE", Path: t + "/{collaborator}", Title: "team app collaborator: delete", do: (*call).removeCollaborator},
	}
}

// Heroku's permissions, from least to most.
var permissionNames = []struct{ name, text string }{
	{"view", "View the app, its releases and its logs."}, {"deploy", "Deploy the app and change its config."},
	{"operate", "Scale and run the app."}, {"manage", "Manage who has access to the app."},
}

func showPermissions(names ...string) []object {
	out := []object{}
	for _, p := range permissionNames {
		if slices.Contains(names, p.name) {
			out = append(out, object{"name": p.name, "description": p.text})
		}
	}
	return out
}

// permissionsOf is what a role may do, in Heroku's words.
func permissionsOf(r stead.Role) []string {
	switch r {
	case stead.RoleAdmin:
		return []string{"view", "deploy", "operate", "manage"}
	case stead.RoleDeveloper:
		return []string{"view", "deploy", "operate"}
	}
	return []string{"view"}
}

// roleFor is the role that has all of the permissions; none is what Heroku
// gives to collaborators who are given nothing else.
func roleFor(permissions []named) (stead.Role, error) {
	if len(permissions) == 0 {
		return stead.RoleDeveloper, nil
	}
	out := stead.RoleAuditor
	for _, p := range permissions {
		switch p {
		case "view":
		case "deploy", "operate":
			out = stead.MaxRole(out, stead.RoleDeveloper)
		case "manage":
			out = stead.RoleAdmin
		default:
			return "", stead.Invalid("permissions", "there is no permission "+quote(string(p)), "use view, deploy, operate or manage")
		}
	}
	return out, nil
}

func (c *call) permissions() (any, error) {
	return showPermissions("view", "deploy", "operate", "manage"), nil
}

func showCollaborator(a stead.App) func(stead.Collaborator) object {
	return func(v stead.Collaborator) object {
		return object{"id": idOf("collaborator", string(a.ID), string(v.UserID)), "app": object{"id": a.ID, "name": a.Name}, "role": roleName(v.Role),
			"permissions": showPermissions(permissionsOf(v.Role)...), "user": object{"id": v.UserID, "email": v.Email, "federated": false},
			"created_at": stamp(v.CreatedAt), "updated_at": stamp(v.CreatedAt)}
	}
}

func (c *call) collaborators() (any, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	all, err := c.p.Collaborators(c.ctx, string(a.ID))
	return each(all, showCollaborator(a)), err
}

func (c *call) findCollaborator() (stead.App, stead.Collaborator, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return a, stead.Collaborator{}, err
	}
	all, err := c.p.Collaborators(c.ctx, string(a.ID))
	for _, v := range all {
		if ref := c.params["collaborator"]; strings.EqualFold(v.Email, ref) || string(v.UserID) == ref || showCollaborator(a)(v)["id"] == ref {
			return a, v, err
		}
	}
	if err == nil {
		err = stead.NotFound("collaborator", c.params["collaborator"])
	}
	return a, stead.Collaborator{}, err
}

func (c *call) collaborator() (any, error) {
	a, v, err := c.findCollaborator()
	return showCollaborator(a)(v), err
}

type collaboratorInput struct {
	User        named   `json:"user"`
	Permissions []named `json:"permissions"`
}

func (c *call) addCollaborator() (any, error) {
	var in collaboratorInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	v, err := c.setCollaborator(string(in.User), in)
	return c.created(v), err
}

func (c *call) setCollaborator(user string, in collaboratorInput) (object, error) {
	role, err := roleFor(in.Permissions)
	if err != nil {
		return nil, err
	}
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return nil, err
	}
	v, err := c.p.SetCollaborator(c.ctx, string(a.ID), user, role)
	return showCollaborator(a)(v), err
}

func (c *call) updateCollaborator() (any, error) {
	var in collaboratorInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	_, v, err := c.findCollaborator()
	if err != nil {
		return nil, err
	}
	return c.setCollaborator(v.Email, in)
}

func (c *call) removeCollaborator() (any, error) {
	a, v, err := c.findCollaborator()
	if err != nil {
		return nil, err
	}
	return showCollaborator(a)(v), c.p.RemoveCollaborator(c.ctx, string(a.ID), v.Email)
}

// permissionEntities is what members of a team may do with each of its apps.
func (c *call) permissionEntities() (any, error) {
	o, err := c.team()
	if err != nil {
		return nil, err
	}
	apps, err := c.p.Apps(c.ctx, o.Name, "")
	if err != nil {
		return nil, err
	}
	members, err := c.p.Members(c.ctx, o.Name, "")
	if err != nil {
		return nil, err
	}
	users := []object{}
	for _, m := range members {
		users = append(users, object{"id": m.UserID, "email": m.Email, "permissions": permissionsOf(m.Role)})
	}
	return each(apps, func(a stead.App) object {
		return object{"id": a.ID, "name": a.Name, "team_id": o.ID, "type": "app", "users": users}
	}), nil
}
