package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
)

// fault is why the router answers itself, or breaks an answer off. Codes and
// conditions are Heroku's.
type fault struct {
	Code   string
	Status int
	Desc   string // in the access line
	What   string // for the visitor
	Hint   string // what to try
}

const logsHint = "If it is yours, stead logs --source router shows this request; stead ps shows its instances."

var (
	faultCrashed     = fault{"H10", 503, "App crashed", "The application has crashed.", "If it is yours, stead logs shows why, stead restart starts it again."}
	faultFirstByte   = fault{"H12", 503, "Request timeout", "The application did not answer in time.", logsHint}
	faultClosed      = fault{"H13", 503, "Connection closed without response", "The application closed the connection without an answer.", logsHint}
	faultNone        = fault{"H14", 503, "No web processes running", "The application runs no instances.", "If it is yours, stead scale web=1 starts one."}
	faultIdle        = fault{"H15", 503, "Idle connection", "Nothing was sent for too long.", logsHint}
	faultBadAnswer   = fault{"H17", 503, "Poorly formatted HTTP response", "The application's answer is not valid HTTP.", logsHint}
	faultInterrupted = fault{"H18", 503, "Server Request Interrupted", "The application broke its answer off.", logsHint}
	faultConnect     = fault{"H19", 503, "Backend connection timeout", "The application did not accept the connection in time.", logsHint}
	faultBoot        = fault{"H20", 503, "App boot timeout", "The application is still starting.", "Try again in a moment. " + logsHint}
	faultRefused     = fault{"H21", 503, "Backend connection refused", "The application refused the connection.", logsHint}
	faultBadBody     = fault{"H26", 400, "Request error", "The chunked body of this request is malformed.", "Send a well-formed HTTP request."}
	faultClientLeft  = fault{"H27", 499, "Client Request Interrupted", "The client left before the answer.", "Try again."}
	faultClientIdle  = fault{"H28", 408, "Client Connection Idle", "The body of this request stopped coming.", "Try again."}
	faultMaintenance = fault{"H80", 503, "Maintenance mode", "The application is in maintenance.", "Try again later. If it is yours, stead maintenance off ends it."}
	faultBlank       = fault{"H81", 503, "Blank app", "Nothing has been deployed here yet.", "If it is yours, git push stead main deploys it."}
	faultUnknown     = fault{"H99", 404, "No such host", "There is no application at this address.", "Check the address. If it is yours, stead domains lists what answers."}
)

// closed is the fault of a target that takes no requests at all.
func (k *core) closed(t *target) *fault {
	switch {
	case t == nil:
		return &faultUnknown
	case t.Maintenance:
		return &faultMaintenance
	case !t.Released:
		return &faultBlank
	}
	return nil
}

// none is the fault of a target without an instance to try.
func (t *target) none() *fault {
	switch {
	case t.Crashed:
		return &faultCrashed
	case t.Quantity == 0:
		return &faultNone
	}
	return &faultBoot
}

// answerFault answers with a small page and reports whether that was written.
func (c *conn) answerFault(f fault) bool {
	body, kind := f.page(c.req.get(fieldAccept), string(c.x.id))
	keep := c.keepAlive() && c.req.host != nil && c.req.length <= 0 && !c.req.chunked && !c.expired.Load()
	o := append(c.out[:0], "HTTP/1.1 "...)
	o = strconv.AppendInt(o, int64(f.Status), 10)
	o = append(append(o, ' '), http.StatusText(f.Status)...)
	o = append(append(o, "\r\nContent-Type: "...), kind...)
	o = append(o, "\r\nCache-Control: no-store\r\nX-Stead-Error: "+f.Code+"\r\nX-Request-Id: "...)
	o = append(append(o, c.x.id...), "\r\nContent-Length: "...)
	o = append(strconv.AppendInt(o, int64(len(body)), 10), "\r\n"...)
	if !keep {
		o = append(o, "Connection: close\r\n"...)
	}
	o = append(o, "\r\n"...)
	if string(c.req.method) != "HEAD" {
		o = append(o, body...)
		c.x.bytes = int64(len(body))
	}
	c.x.status, c.x.service = f.Status, 0
	c.enter(phaseStream)
	_, err := c.nc.Write(o)
	c.log(&f)
	return err == nil
}

func (f fault) page(accept []byte, id string) (body []byte, kind string) {
	if bytes.Contains(accept, []byte("json")) && !bytes.Contains(accept, []byte("html")) {
		body, _ = json.Marshal(map[string]any{"code": f.Code, "status": f.Status, "detail": f.What, "hint": f.Hint, "request_id": id})
		return append(body, '\n'), "application/json"
	}
	return fmt.Appendf(nil, pageText, f.Status, html.EscapeString(f.What), html.EscapeString(f.What), html.EscapeString(f.Hint), f.Code, id), "text/html; charset=utf-8"
}

const pageText = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%d: %s</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222}small{color:#777}</style>
<h1>%s</h1><p>%s</p><small>%s · request %s</small></html>
`
