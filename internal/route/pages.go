package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"strings"

	"github.com/steadpaas/stead"
)

// page is what a fault shows: JSON to programs, else the app's own page, else ours.
func (c *conn) page(f *fault) (body []byte, kind string) {
	accept, id := c.req.get(fieldAccept), string(c.x.id)
	if bytes.Contains(accept, []byte("json")) && !bytes.Contains(accept, []byte("html")) {
		m := map[string]any{"status": f.Status, "detail": f.What, "hint": f.Hint, "request_id": id}
		if f.Code != "" {
			m["code"] = f.Code
		}
		body, _ = json.Marshal(m)
		return append(body, '\n'), "application/json"
	}
	if t := c.x.t; t != nil && t.pages != nil {
		if own := ownPage(t.pages, f); own != "" {
			return []byte(strings.NewReplacer("{{code}}", f.Code, "{{request_id}}", html.EscapeString(id)).Replace(own)), "text/html; charset=utf-8"
		}
	}
	what := html.EscapeString(f.What)
	return fmt.Appendf(nil, pageText, f.Status, what, what, html.EscapeString(f.Hint), f.Code, html.EscapeString(id)), "text/html; charset=utf-8"
}

// ownPage is the app's page for a fault of its own; what the request did wrong
// is said by the router.
func ownPage(p *stead.Pages, f *fault) string {
	switch {
	case f.Code == faultMaintenance.Code:
		return p.Maintenance
	case f.Status >= 500:
		return p.Error
	}
	return ""
}

const pageText = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%d: %s</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222}small{color:#777}</style>
<h1>%s</h1><p>%s</p><small>%s · request %s</small></html>
`
