package stead

import (
	"context"
	"time"
)

// User is a person, or a machine account, known by e-mail address.
type User struct {
	ID        ID        `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty"`
	Admin     bool      `json:"admin"` // an operator: may do everything, everywhere
	CreatedAt time.Time `json:"created_at"`
}

// Role is what a user may do in an org, or in one space of it. The larger of
// the two holds.
type Role string

// The roles, from least to most.
const (
	RoleNone      Role = ""
	RoleAuditor   Role = "auditor"   // reads everything but secrets
	RoleDeveloper Role = "developer" // deploys, configures, scales, runs
	RoleAdmin     Role = "admin"     // also members, spaces, deletion of foreign apps
)

// CheckRole refuses an unknown role.
func CheckRole(field string, r Role) error {
	if rank(r) == 0 {
		return Invalid(field, "there is no role "+quote(string(r)), "use admin, developer or auditor")
	}
	return nil
}

func rank(r Role) int {
	switch r {
	case RoleAuditor:
		return 1
	case RoleDeveloper:
		return 2
	case RoleAdmin:
		return 3
	}
	return 0
}

// MaxRole returns the larger of two roles.
func MaxRole(a, b Role) Role {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Action is a class of things to do with an org, a space or an app.
type Action uint8

// The actions.
const (
	ActRead   Action = iota + 1 // see it: its state, logs, releases, config names
	ActSecret                   // see config values
	ActWrite                    // change or run it: push, config, scale, run, exec
	ActAdmin                    // members, spaces, quotas
)

// Scope narrows what a token may do below what its user may.
type Scope string

// The scopes.
const (
	ScopeRead  Scope = "read"  // ActRead only
	ScopeWrite Scope = "write" // all but ActAdmin
	ScopeAll   Scope = "all"   // whatever the user may
)

// CheckScope refuses an unknown scope.
func CheckScope(field string, s Scope) error {
	switch s {
	case ScopeRead, ScopeWrite, ScopeAll:
		return nil
	}
	return Invalid(field, "there is no scope "+quote(string(s)), "use read, write or all")
}

func (s Scope) allows(a Action) bool {
	switch s {
	case ScopeAll:
		return true
	case ScopeWrite:
		return a != ActAdmin
	case ScopeRead:
		return a == ActRead
	}
	return false
}

// Actor is who acts: a user through a token, an SSH key, or the platform
// itself. The zero Actor may do nothing.
type Actor struct {
	UserID  ID     `json:"user_id,omitempty"`
	Email   string `json:"email"`
	Admin   bool   `json:"admin,omitempty"`
	Scope   Scope  `json:"scope"`
	TokenID ID     `json:"token_id,omitempty"`
}

// System is the actor of what the platform does by itself.
var System = Actor{Email: "stead", Admin: true, Scope: ScopeAll}

// May reports whether the actor, holding the role where the thing lives, may
// act on it.
func (a Actor) May(act Action, role Role) bool {
	if !a.Scope.allows(act) {
		return false
	}
	if a.Admin {
		return true
	}
	switch act {
	case ActRead:
		return rank(role) >= rank(RoleAuditor)
	case ActSecret, ActWrite:
		return rank(role) >= rank(RoleDeveloper)
	case ActAdmin:
		return rank(role) >= rank(RoleAdmin)
	}
	return false
}

type actorKey struct{}

// WithActor returns a context that acts as a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the context's actor; the zero Actor if there is none.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

type requestIDKey struct{}

// WithRequestID returns a context whose changes are recorded under id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestIDFrom returns the context's request id, or "".
func RequestIDFrom(ctx context.Context) string {
	s, _ := ctx.Value(requestIDKey{}).(string)
	return s
}

// Token is an opaque credential of a user. The secret itself is shown once and
// never stored; what is kept is its SHA-256.
type Token struct {
	ID        ID         `json:"id"`
	UserID    ID         `json:"user_id"`
	Name      string     `json:"name"` // what it is for: "laptop", "ci"
	Scope     Scope      `json:"scope"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // nil: never
	UsedAt    *time.Time `json:"used_at,omitempty"`
	Secret    string     `json:"secret,omitempty"` // only in the answer that made it
}

// SSHKey is a public key that authenticates its user for git and run over SSH.
type SSHKey struct {
	ID          ID        `json:"id"`
	UserID      ID        `json:"user_id"`
	Name        string    `json:"name"`        // the key's comment
	Fingerprint string    `json:"fingerprint"` // SHA256:…, as ssh-keygen -l prints it
	PublicKey   string    `json:"public_key"`  // authorized_keys form
	CreatedAt   time.Time `json:"created_at"`
}
