package stead

import (
	"net/url"
	"slices"
	"time"
)

// Drain is where an app's log lines are sent.
type Drain struct {
	ID        ID         `json:"id"`
	AppID     ID         `json:"app_id"`
	URL       string     `json:"url"`             // without its password
	Token     string     `json:"token"`           // names the drain to its receiver
	Delivered int64      `json:"delivered"`       // lines that the receiver took
	Dropped   int64      `json:"dropped"`         // lines that it refused
	Error     string     `json:"error,omitempty"` // why lines wait or were refused last; empty: all is well
	At        *time.Time `json:"at,omitempty"`    // when the figures were last seen
	CreatedAt time.Time  `json:"created_at"`
}

// NewDrain is the wish for a drain.
type NewDrain struct {
	URL string `json:"url"`
}

// drainSchemes are the ways that lines are sent.
var drainSchemes = []string{"https", "http", "syslog", "syslog+tls"}

// ParseDrainURL reads where a drain leads.
func ParseDrainURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2000:
		return nil, Invalid("url", "this is not a URL", "write https://host/path, syslog://host:port or syslog+tls://host:port")
	case !slices.Contains(drainSchemes, u.Scheme):
		return nil, Invalid("url", "lines cannot be sent to a URL that starts with "+quote(u.Scheme), "use https://, http://, syslog:// or syslog+tls://")
	case u.Hostname() == "":
		return nil, Invalid("url", "the URL names no host", "write it as in syslog+tls://logs.example.com:6514")
	case u.Fragment != "":
		return nil, Invalid("url", "the URL has a fragment (#), which is never sent", "leave it out, or write # as %23")
	}
	return u, nil
}
