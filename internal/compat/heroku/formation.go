package heroku

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/platform"
)

func formationRoutes() []route {
	return []route{
		{Method: "GET", Path: "/apps/{app}/formation", Title: "formation: list", do: (*call).formation},
		{Method: "PATCH", Path: "/apps/{app}/formation", Title: "formation: batch update", do: (*call).scaleAll},
		{Method: "GET", Path: "/apps/{app}/formation/{type}", Title: "formation: info", do: (*call).formationInfo},
		{Method: "PATCH", Path: "/apps/{app}/formation/{type}", Title: "formation: update", do: (*call).scaleOne},
		{Method: "DELETE", Path: "/apps/{app}/formations/{type}", Title: "dyno: restart formation", do: (*call).restartFormation},
		{Method: "POST", Path: "/apps/{app}/formations/{type}/actions/stop", Title: "dyno: stop formation", do: (*call).stopFormation},
		{Method: "GET", Path: "/dyno-sizes", Title: "dyno size: list", do: (*call).sizes},
		{Method: "GET", Path: "/dyno-sizes/{size}", Title: "dyno size: info", do: (*call).size},
		{Method: "GET", Path: "/apps/{app}/available-dyno-sizes", Title: "dyno size: list for an app", do: (*call).appSizes},
	}
}

// sizeName is a size as Heroku writes it: standard-1x is Standard-1X.
func sizeName(s string) string {
	parts := strings.Split(s, "-")
	for i, p := range parts {
		if i == len(parts)-1 && i > 0 {
			parts[i] = strings.ToUpper(p)
		} else if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}

func commandLine(cmd stead.Command) string {
	if len(cmd) == 3 && cmd[0] == "/bin/sh" && cmd[1] == "-c" {
		return cmd[2]
	}
	return strings.Join(cmd, " ")
}

func showFormation(a stead.App) func(stead.Process) object {
	return func(p stead.Process) object {
		at := a.CreatedAt
		if p.UpdatedAt != nil {
			at = *p.UpdatedAt
		}
		quantity := p.Quantity
		if p.Stopped {
			quantity = 0
		}
		return object{"id": idOf("formation", string(a.ID), p.Type), "app": object{"id": a.ID, "name": a.Name}, "type": p.Type,
			"command": commandLine(p.Command), "quantity": quantity, "size": sizeName(p.Size),
			"dyno_size":  object{"id": idOf("size", p.Size), "name": sizeName(p.Size)},
			"created_at": stamp(a.CreatedAt), "updated_at": stamp(at)}
	}
}

func (c *call) processes() (stead.App, []stead.Process, error) {
	a, err := c.p.App(c.ctx, c.app())
	if err != nil {
		return a, nil, err
	}
	all, err := c.p.Processes(c.ctx, string(a.ID))
	return a, all, err
}

func (c *call) formation() (any, error) {
	a, all, err := c.processes()
	return each(all, showFormation(a)), err
}

func (c *call) formationInfo() (any, error) {
	a, all, err := c.processes()
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if f := showFormation(a)(p); p.Type == c.params["type"] || f["id"] == c.params["type"] {
			return f, nil
		}
	}
	return nil, stead.NotFound("process", c.params["type"])
}

// formationUpdate is one change. Quantity is a number, or a text: "3", "+1", "-1".
type formationUpdate struct {
	Type     string          `json:"type"`
	Quantity json.RawMessage `json:"quantity"`
	Size     string          `json:"size"`
	DynoSize named           `json:"dyno_size"`
}

// changes says it in our words: a scale, or for a size alone a patch.
func (u formationUpdate) changes() (*stead.Scale, platform.ProcessPatch, error) {
	size := strings.ToLower(u.Size)
	if u.DynoSize != "" {
		size = strings.ToLower(string(u.DynoSize))
	}
	patch := platform.ProcessPatch{}
	if size != "" {
		patch.Size = &size
	}
	text := strings.Trim(string(u.Quantity), `"`)
	if text == "" || text == "null" {
		return nil, patch, nil
	}
	op := "="
	if text[0] == '+' || text[0] == '-' {
		op, text = text[:1], text[1:]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return nil, patch, stead.Invalid("quantity", quote(text)+" is not a quantity", "give a whole number, or a change such as \"+1\"")
	}
	return &stead.Scale{Type: u.Type, Op: op, Count: n, Size: size}, platform.ProcessPatch{}, nil
}

func (c *call) scaleAll() (any, error) {
	var in struct {
		Updates []formationUpdate `json:"updates"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	var touched []string
	for _, u := range in.Updates {
		touched = append(touched, u.Type)
	}
	if err := c.scale(in.Updates); err != nil {
		return nil, err
	}
	a, all, err := c.processes()
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, p := range all {
		for _, t := range touched {
			if p.Type == t {
				out = append(out, showFormation(a)(p))
				break
			}
		}
	}
	return out, nil
}

func (c *call) scale(updates []formationUpdate) error {
	var scales []stead.Scale
	patches := map[string]platform.ProcessPatch{}
	for _, u := range updates {
		s, patch, err := u.changes()
		if err != nil {
			return err
		}
		if s != nil {
			scales = append(scales, *s)
		} else if patch.Size != nil {
			patches[u.Type] = patch
		}
	}
	if len(scales) > 0 {
		if _, err := c.p.Scale(c.ctx, c.app(), scales); err != nil {
			return err
		}
	}
	for t, patch := range patches {
		if _, err := c.p.UpdateProcess(c.ctx, c.app(), t, patch); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) scaleOne() (any, error) {
	var in formationUpdate
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	f, err := c.formationInfo()
	if err != nil {
		return nil, err
	}
	in.Type = f.(object)["type"].(string)
	if err := c.scale([]formationUpdate{in}); err != nil {
		return nil, err
	}
	return c.formationInfo()
}

func (c *call) restartFormation() (any, error) {
	c.status = 202
	return object{}, c.p.Restart(c.ctx, c.app(), c.params["type"])
}

func (c *call) stopFormation() (any, error) {
	c.status = 202
	return object{}, c.p.Stop(c.ctx, c.app(), c.params["type"])
}

func showSize(s stead.Size) object {
	return object{"id": idOf("size", s.Name), "name": sizeName(s.Name), "memory": float64(s.Memory) / (1 << 30), "compute": max(1, s.CPU/1000),
		"architecture": "amd64", "dedicated": false, "private_space_only": false, "cost": nil, "generation": generation(),
		"precise_dyno_units": float64(s.CPU) / 1000}
}

func (c *call) sizes() (any, error) { return each(c.p.Sizes(), showSize), nil }

func (c *call) appSizes() (any, error) {
	if _, err := c.p.App(c.ctx, c.app()); err != nil {
		return nil, err
	}
	return c.sizes()
}

func (c *call) size() (any, error) {
	for _, s := range c.p.Sizes() {
		if ref := c.params["size"]; strings.EqualFold(s.Name, ref) || idOf("size", s.Name) == ref {
			return showSize(s), nil
		}
	}
	return nil, stead.NotFound("size", c.params["size"])
}
