package stead

import "time"

// DefaultName names the org, the space and the region that exist from the
// start, so that no command has to ask for them.
const DefaultName = "default"

// Org is a tenant: its apps never see another org's.
type Org struct {
	ID        ID        `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// Space is a group of apps in an org, with members of its own.
type Space struct {
	ID        ID        `json:"id"`
	OrgID     ID        `json:"org_id"`
	Org       string    `json:"org"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// Member is a user's role in an org (SpaceID empty) or in one space.
type Member struct {
	UserID  ID     `json:"user_id"`
	Email   string `json:"email"`
	OrgID   ID     `json:"org_id"`
	SpaceID ID     `json:"space_id,omitempty"`
	Role    Role   `json:"role"`
}

// Collaborator is a user's role in one app, on top of what the user is in its
// space and org.
type Collaborator struct {
	AppID     ID        `json:"app_id"`
	UserID    ID        `json:"user_id"`
	Email     string    `json:"email"`
	Role      Role      `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// Event is one fact of the audit trail: who did what to what, when. It is
// written in the transaction that made the change.
type Event struct {
	ID        ID             `json:"id"`
	At        time.Time      `json:"at"`
	Actor     string         `json:"actor"` // e-mail, or "stead" for the platform
	Verb      string         `json:"verb"`  // noun.verb: "app.create", "release.live"
	OrgID     ID             `json:"org_id,omitempty"`
	AppID     ID             `json:"app_id,omitempty"`
	App       string         `json:"app,omitempty"`  // the name at that time
	Data      map[string]any `json:"data,omitempty"` // never a secret
	RequestID string         `json:"request_id,omitempty"`
}
