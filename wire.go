package stead

import "time"

// Line is one line of output: of an instance, a build, a release or the platform.
type Line struct {
	At      time.Time `json:"at"`
	Source  string    `json:"source"`           // "app", "stead", "router", "api", "build"
	Process string    `json:"process"`          // "web.2", "router", "build.4"
	Stream  string    `json:"stream,omitempty"` // "stderr", or "" for stdout
	Text    string    `json:"text"`             // no newline, valid UTF-8
}

// LogQuery says which lines of an app to give.
type LogQuery struct {
	Num     int    // how many of the last lines; 0: none, negative: all that are kept
	Follow  bool   // go on with new lines until the context ends
	Source  string // only this source
	Process string // only "web.2", or all of "web"
}

// EventQuery narrows a list of events.
type EventQuery struct {
	App    string // an app's reference; "": everything the actor may see
	Verb   string // a prefix: "app.", "release.live"
	After  ID     // only events after this one
	Limit  int    // 100 by default, 1000 at most; the newest
	Follow bool   // go on with new ones until the context ends
}

// Check is one line of Status: a part of the platform and how it does.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was seen; if not OK, why and what to try
}

// Status is how the platform does.
type Status struct {
	Version string  `json:"version"`
	OK      bool    `json:"ok"`
	Checks  []Check `json:"checks"`
}

// Version is what a platform says of itself to anybody.
type Version struct {
	Version string `json:"version"`
	API     string `json:"api"` // "v1"
}

// NewApp is the wish for an app. Empty fields have defaults; an empty Name is
// made up ("quiet-river-4821").
type NewApp struct {
	Name   string `json:"name,omitempty"`
	Org    string `json:"org,omitempty"`
	Space  string `json:"space,omitempty"`
	Region string `json:"region,omitempty"`
}

// AppPatch changes what is not nil.
type AppPatch struct {
	Name        *string `json:"name,omitempty"`
	Maintenance *bool   `json:"maintenance,omitempty"`
}

// ProcessPatch changes what is not nil. Changes of size or health roll out
// like a release.
type ProcessPatch struct {
	Size      *string  `json:"size,omitempty"`
	Path      *string  `json:"path,omitempty"`
	BootLimit *Seconds `json:"boot_limit,omitempty"`
	StopGrace *Seconds `json:"stop_grace,omitempty"`
	IdleAfter *Seconds `json:"idle_after,omitempty" doc:"Seconds without a request after which the instances stop until the next one comes; 0: never."`
	Surge     *int     `json:"surge,omitempty" doc:"Percent of the quantity that runs on top while instances are replaced, 1 to 100."`
}

// NewTask is the wish for a one-off task. Size "" is the web process's. An
// attached task runs when a client attaches to it, and ends with it.
type NewTask struct {
	Command  Command `json:"command"`
	Attached bool    `json:"attached,omitempty"`
	TTY      bool    `json:"tty,omitempty"`
	Env      Config  `json:"env,omitempty"`
	Size     string  `json:"size,omitempty"`
}

// ExecCommand is what to run in a running instance.
type ExecCommand struct {
	Args []string `json:"args"`
	Env  Config   `json:"env,omitempty"` // on top of the instance's
	TTY  bool     `json:"tty,omitempty"`
}

// NewUser is the wish for a user.
type NewUser struct {
	Email    string `json:"email"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty"`
	Admin    bool   `json:"admin,omitempty"`
}

// NewToken is the wish for a token. TTL 0 never expires.
type NewToken struct {
	Name  string  `json:"name"`
	Scope Scope   `json:"scope"`
	TTL   Seconds `json:"ttl,omitempty"`
}

// NewRoute is the wish for a route. Path "" is "/", Process "" is web.
type NewRoute struct {
	Host        string      `json:"host"`
	Path        string      `json:"path,omitempty"`
	Process     string      `json:"process,omitempty"`
	StripPrefix bool        `json:"strip_prefix,omitempty"`
	Policy      RoutePolicy `json:"policy,omitzero"`
}

// ConfigChange is the answer to a change of an app's config: what it is now and
// the release that brings it (Version 0: there is nothing to release yet).
type ConfigChange struct {
	Config  Config  `json:"config"`
	Release Release `json:"release"`
}

// Problem is an error as the v1 API writes it (RFC 9457,
// application/problem+json).
type Problem struct {
	Type      string `json:"type"`   // always "about:blank"
	Title     string `json:"title"`  // the status in words
	Status    int    `json:"status"` // the HTTP status
	Kind      string `json:"kind"`   // Kind.String
	Detail    string `json:"detail"` // what happened and why
	Hint      string `json:"hint,omitempty"`
	Field     string `json:"field,omitempty"` // which part of the input
	RequestID string `json:"request_id,omitempty"`
}

// Err returns the problem as an Error.
func (p Problem) Err() *Error {
	return &Error{Kind: ParseKind(p.Kind), Msg: p.Detail, Hint: p.Hint, Field: p.Field}
}
