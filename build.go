package stead

import "time"

// SourceKind tells what a Source is made of.
type SourceKind string

// The kinds of source.
const (
	SourceArchive SourceKind = "archive" // a tar.gz tree, uploaded or taken from a git commit
	SourceImage   SourceKind = "image"   // a ready image, by reference
)

// Source is what a build starts from.
type Source struct {
	Kind    SourceKind `json:"kind"`
	Digest  string     `json:"digest,omitempty"`  // sha256:… of the stored archive
	Image   string     `json:"image,omitempty"`   // the reference, for SourceImage
	Commit  string     `json:"commit,omitempty"`  // git object name, when there is one
	Branch  string     `json:"branch,omitempty"`  // what was pushed
	Message string     `json:"message,omitempty"` // first line of the commit's message
	Size    int64      `json:"size,omitempty"`    // bytes of the archive
}

// BuildState is the life of a build: queued → running → succeeded, failed or
// canceled.
type BuildState string

// The states of a build.
const (
	BuildQueued    BuildState = "queued"
	BuildRunning   BuildState = "running"
	BuildSucceeded BuildState = "succeeded"
	BuildFailed    BuildState = "failed"
	BuildCanceled  BuildState = "canceled"
)

// Done reports whether the state is final.
func (s BuildState) Done() bool {
	return s == BuildSucceeded || s == BuildFailed || s == BuildCanceled
}

// Build turns a Source into an Image.
type Build struct {
	ID         ID         `json:"id"`
	AppID      ID         `json:"app_id"`
	App        string     `json:"app"`
	Number     int        `json:"number"` // 1, 2, … in its app
	State      BuildState `json:"state"`
	Reason     string     `json:"reason,omitempty"` // why it failed, for a person
	Source     Source     `json:"source"`
	Pack       string     `json:"pack,omitempty"` // what was detected: "go", "dockerfile", …
	Image      Image      `json:"image,omitzero"`
	Release    int        `json:"release,omitempty"` // the version it became
	Stages     []Stage    `json:"stages,omitempty"`
	By         string     `json:"by"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// Stage is one timed part of a build.
type Stage struct {
	Name    string  `json:"name"`    // "source", "build", "push"
	Seconds float64 `json:"seconds"` // wall time
}

// Image is what runs.
type Image struct {
	Ref       string             `json:"ref,omitempty"`    // repository@sha256:…
	Digest    string             `json:"digest,omitempty"` // sha256:… of the manifest
	Processes map[string]Command `json:"processes,omitempty"`
	Size      int64              `json:"size,omitempty"` // compressed bytes, all layers
}

// Command is the argument list of a process. A Procfile line becomes
// ["/bin/sh", "-c", line]; nil means the image's own command.
type Command []string

// Shell returns the command that has the image's shell run one line. This is
// the only place where a user's text is handed to a shell, and it is the shell
// inside the user's own container.
func Shell(line string) Command { return Command{"/bin/sh", "-c", line} }

// ReleaseState is the life of a release:
//
//	pending ─→ releasing ─→ rolling ─→ live ─→ superseded
//	   └────────────┴──────────┴─→ failed
//
// A pending release waits for its turn; releasing runs its release phase;
// rolling brings up its instances; exactly one release of an app is live.
type ReleaseState string

// The states of a release.
const (
	ReleasePending    ReleaseState = "pending"
	ReleaseReleasing  ReleaseState = "releasing"
	ReleaseRolling    ReleaseState = "rolling"
	ReleaseLive       ReleaseState = "live"
	ReleaseSuperseded ReleaseState = "superseded"
	ReleaseFailed     ReleaseState = "failed"
)

// Done reports whether the release has come up or never will.
func (s ReleaseState) Done() bool {
	return s == ReleaseLive || s == ReleaseSuperseded || s == ReleaseFailed
}

// Release is an Image with the Config and process table it runs with. It is
// numbered in its app and never changes; only its state does.
type Release struct {
	ID          ID           `json:"id"`
	AppID       ID           `json:"app_id"`
	App         string       `json:"app"`
	Version     int          `json:"version"`
	State       ReleaseState `json:"state"`
	Reason      string       `json:"reason,omitempty"` // why it failed: which instance, how, its last lines
	Description string       `json:"description"`      // "Deploy 1f2e3d4", "Set config GREETING", "Rollback to v3"
	Image       Image        `json:"image"`
	ConfigKeys  []string     `json:"config_keys,omitempty"` // names only; values are sealed
	BuildID     ID           `json:"build_id,omitempty"`
	By          string       `json:"by"`
	CreatedAt   time.Time    `json:"created_at"`
	LiveAt      *time.Time   `json:"live_at,omitempty"`
}
