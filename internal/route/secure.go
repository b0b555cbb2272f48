package route

import (
	"bytes"
	"net/http"
	"strconv"
)

const challengePath = "/.well-known/acme-challenge/"

// intercept answers what no instance is asked: an authority's challenge, and a
// plain request for a host that wants TLS. It reports whether it did.
func (c *conn) intercept() (answered, keep bool) {
	s := c.core.shelf.Load()
	if len(s.answers) > 0 && bytes.HasPrefix(c.req.path, []byte(challengePath)) {
		if a, ok := s.answers[string(c.host)+"/"+string(c.req.path[len(challengePath):])]; ok {
			return true, c.answerPlain(http.StatusOK, "", a)
		}
	}
	if len(s.hosts) == 0 {
		return false, false
	}
	p := byName(s.hosts, string(c.host))
	if p == nil {
		return false, false
	}
	if p.redirect && !c.overTLS() {
		return true, c.answerPlain(http.StatusPermanentRedirect, c.secureURL(), "This host is reached over HTTPS.\n")
	}
	if c.overTLS() {
		c.x.hsts = p.hsts
	}
	return false, false
}

// overTLS reports whether the client spoke TLS with us or with a load balancer
// that is believed.
func (c *conn) overTLS() bool {
	return c.secure || c.trust && string(c.req.get(fieldForwardedProto)) == "https"
}

func (c *conn) secureURL() string {
	u := "https://" + string(c.host)
	if p := c.core.tlsPort; p != "" && p != "443" {
		u += ":" + p
	}
	return u + string(c.req.target)
}

// answerPlain answers without an instance and reports whether the connection
// can serve another request.
func (c *conn) answerPlain(status int, location, body string) bool {
	keep := c.req.length <= 0 && !c.req.chunked && c.keepAlive()
	o := append(c.out[:0], "HTTP/1.1 "...)
	o = strconv.AppendInt(o, int64(status), 10)
	o = append(append(o, ' '), http.StatusText(status)...)
	o = append(o, "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"...)
	if location != "" {
		o = append(append(append(o, "Location: "...), location...), "\r\n"...)
	}
	o = append(append(append(o, "X-Request-Id: "...), c.x.id...), "\r\nContent-Length: "...)
	o = append(strconv.AppendInt(o, int64(len(body)), 10), "\r\n"...)
	if !keep {
		o = append(o, "Connection: close\r\n"...)
	}
	if o = append(o, "\r\n"...); string(c.req.method) != "HEAD" {
		o = append(o, body...)
		c.x.bytes = int64(len(body))
	}
	c.out, c.x.status, c.x.sent = o, status, true
	c.enter(phaseStream)
	_, err := c.nc.Write(o)
	return keep && err == nil
}

// appendHSTS adds the host's header unless the app has one of its own.
func (c *conn) appendHSTS(o []byte) []byte {
	for i := range c.ans.fields {
		if equalFold(c.ans.fields[i].name, "strict-transport-security") {
			return o
		}
	}
	return append(o, c.x.hsts...)
}
