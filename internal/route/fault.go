package route

import (
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
	Head   string // fields of the answer, with their line ends
}

const logsHint = "If it is yours, stead logs --source router shows this request; stead ps shows its instances."

var (
	faultCrashed     = fault{Code: "H10", Status: 503, Desc: "App crashed", What: "The application has crashed.", Hint: "If it is yours, stead logs shows why, stead restart starts it again."}
	faultFirstByte   = fault{Code: "H12", Status: 503, Desc: "Request timeout", What: "The application did not answer in time.", Hint: logsHint}
	faultClosed      = fault{Code: "H13", Status: 503, Desc: "Connection closed without response", What: "The application closed the connection without an answer.", Hint: logsHint}
	faultBacklog     = fault{Code: "H11", Status: 503, Desc: "Backlog too deep", What: "The application has more requests than it can take.", Hint: "Try again in a moment. " + logsHint, Head: "Retry-After: 1\r\n"}
	faultNone        = fault{Code: "H14", Status: 503, Desc: "No web processes running", What: "The application runs no instances.", Hint: "If it is yours, stead scale web=1 starts one."}
	faultIdle        = fault{Code: "H15", Status: 503, Desc: "Idle connection", What: "Nothing was sent for too long.", Hint: logsHint}
	faultBadAnswer   = fault{Code: "H17", Status: 503, Desc: "Poorly formatted HTTP response", What: "The application's answer is not valid HTTP.", Hint: logsHint}
	faultInterrupted = fault{Code: "H18", Status: 503, Desc: "Server Request Interrupted", What: "The application broke its answer off.", Hint: logsHint}
	faultConnect     = fault{Code: "H19", Status: 503, Desc: "Backend connection timeout", What: "The application did not accept the connection in time.", Hint: logsHint}
	faultBoot        = fault{Code: "H20", Status: 503, Desc: "App boot timeout", What: "The application is still starting.", Hint: "Try again in a moment. " + logsHint}
	faultRefused     = fault{Code: "H21", Status: 503, Desc: "Backend connection refused", What: "The application refused the connection.", Hint: logsHint}
	faultBadBody     = fault{Code: "H26", Status: 400, Desc: "Request error", What: "The chunked body of this request is malformed.", Hint: "Send a well-formed HTTP request."}
	faultClientLeft  = fault{Code: "H27", Status: 499, Desc: "Client Request Interrupted", What: "The client left before the answer.", Hint: "Try again."}
	faultClientIdle  = fault{Code: "H28", Status: 408, Desc: "Client Connection Idle", What: "The body of this request stopped coming.", Hint: "Try again."}
	faultMaintenance = fault{Code: "H80", Status: 503, Desc: "Maintenance mode", What: "The application is in maintenance.", Hint: "Try again later. If it is yours, stead maintenance off ends it."}
	faultBlank       = fault{Code: "H81", Status: 503, Desc: "Blank app", What: "Nothing has been deployed here yet.", Hint: "If it is yours, git push stead main deploys it."}
	faultRate        = fault{Code: "S10", Status: 429, Desc: "Rate limited", What: "Too many requests.", Hint: "Wait as long as Retry-After says."}
	faultForbidden   = fault{Code: "S11", Status: 403, Desc: "Address not allowed", What: "This address may not enter.", Hint: "If it is yours, stead routes shows who may."}
	faultLogin       = fault{Code: "S12", Status: 401, Desc: "Login required", What: "A user name and a password are needed.", Hint: "Try again with the right ones.", Head: "WWW-Authenticate: Basic realm=\"restricted\", charset=\"UTF-8\"\r\n"}
	faultTooLarge    = fault{Code: "S13", Status: 413, Desc: "Request body too large", What: "The body of this request is larger than the application takes.", Hint: "Send less at once."}
	faultHeadLimit   = fault{Code: "S14", Status: 431, Desc: "Request head too large", What: "The head of this request is larger than the application takes.", Hint: "Send fewer or shorter fields and cookies."}
	faultUnknown     = fault{Code: "H99", Status: 404, Desc: "No such host", What: "There is no application at this address.", Hint: "Check the address. If it is yours, stead domains lists what answers."}
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
	body, kind := c.page(&f)
	keep := c.keepAlive() && c.req.host != nil && c.req.length <= 0 && !c.req.chunked && !c.expired.Load()
	o := append(c.out[:0], "HTTP/1.1 "...)
	o = strconv.AppendInt(o, int64(f.Status), 10)
	o = append(append(o, ' '), http.StatusText(f.Status)...)
	o = append(append(o, "\r\nContent-Type: "...), kind...)
	o = append(o, "\r\nCache-Control: no-store\r\n"+f.Head...)
	if f.Code != "" {
		o = append(o, "X-Stead-Error: "+f.Code+"\r\n"...)
	}
	o = append(o, "X-Request-Id: "...)
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
	if f.Code == "" {
		c.log(nil)
	} else {
		c.log(&f)
	}
	return err == nil
}
