// Package engine is the seam between the platform and what runs its workloads.
//
// An engine keeps workloads as asked, heals them by itself and tells what it
// sees. The database is the truth: an engine is told everything it needs in a
// Workload and remembers nothing that cannot be said again.
package engine

import (
	"context"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/steadpaas/stead"
)

// Engine keeps workloads as asked. Calls are idempotent by Workload.ID, safe
// for concurrent use, and return stead.Errors for what a person can act on.
type Engine interface {
	// Apply makes it so, and returns when the wish is accepted, not when it is
	// met. Applying a known ID again changes its Replicas and nothing else;
	// lowering them stops the instances with the highest index. A service's
	// crashed instance is started again with exponential back-off, without end.
	Apply(ctx context.Context, w Workload) error

	// Delete stops all instances of the workload (SIGTERM, its StopGrace,
	// SIGKILL) and removes every trace of it but its logs. An unknown id is no
	// error. It returns when accepted; Watch tells when the instances are gone.
	Delete(ctx context.Context, id string) error

	// Watch yields a snapshot of all instances, then one Status with Synced
	// set, then each change. A gone instance is told once, with StateGone. It
	// ends when ctx does, or with an error, after which the caller watches anew.
	Watch(ctx context.Context) iter.Seq2[Status, error]

	// Exec runs a command in an instance that is up (or holding, see
	// Workload.Hold) and returns its exit code. The error says why the command
	// could not be run at all. It ends, with the command, when ctx does.
	Exec(ctx context.Context, instance string, c Command, s Streams) (exit int, err error)
}

// Sampler is an optional ability of an engine: what its instances use.
type Sampler interface {
	Samples(ctx context.Context) ([]Sample, error)
}

// Collector is an optional ability of an engine: to remove images that no
// workload uses and that are not in keep (references, as in Workload.Image).
type Collector interface {
	Collect(ctx context.Context, keep []string) (freed int64, err error)
}

// Workload is what a release says about one process. A new release is a new
// workload; so is a restart.
type Workload struct {
	ID      string   // unique and never used again: letters, digits, "-", ".", at most 120 bytes
	App     stead.ID // instances of one app share a network; different apps never do
	AppName string   // for messages and host names only
	Process string   // "web", "worker", "run", "release"
	Release int      // version of the release, 0 for none

	// Names of instances are Process + "." + index: FirstIndex, FirstIndex+1, …
	FirstIndex int // 1 for services; the task's number for tasks
	Replicas   int

	Image     string        // repository@sha256:… in the platform's registry
	Command   stead.Command // nil: the image's own
	Env       stead.Config  // all of it, PORT included
	Size      stead.Size
	Port      int // that the process must bind; 0: none expected, up when started
	Health    stead.Health
	StopGrace time.Duration

	// Task: each instance runs once; its end is StateExited, whatever the code.
	Task bool
	// Hold starts no command: the instance idles, up, until Exec or Delete.
	// Command is left out of account. Attached tasks run this way.
	Hold bool

	LogStream string // where the instances' output goes: a stream's name in logs
	Internet  bool   // may open connections to public addresses
}

// State is what an engine knows of an instance.
type State string

// The states. Starting covers fetching the image, creating and waiting for
// health; Crashed waits for its next start; Exited is a task's end; Gone is the
// last word on an instance.
const (
	StateStarting State = "starting"
	StateUp       State = "up"
	StateStopping State = "stopping"
	StateCrashed  State = "crashed"
	StateExited   State = "exited"
	StateGone     State = "gone"
)

// Cause classifies why an instance is not up, for decisions; Reason is the
// sentence for people.
type Cause string

// The causes.
const (
	CauseNone    Cause = ""
	CauseExit    Cause = "exit"    // the process ended by itself
	CauseMemory  Cause = "memory"  // killed for exceeding its memory
	CauseBoot    Cause = "boot"    // not healthy within its boot limit: never bound, or bad answer
	CauseImage   Cause = "image"   // the image could not be fetched or started
	CauseUnknown Cause = "unknown" // ended while nobody looked
)

// Status is one observation of an instance.
type Status struct {
	Synced   bool   // marks the end of the snapshot; nothing else is set
	Workload string // Workload.ID
	Instance string // unique in the engine; the argument of Exec
	Name     string // "web.2"
	State    State
	Cause    Cause
	Reason   string         // "exit status 1", "did not bind port 5000 within 60 s", …
	ExitCode *int           // of the last end; nil: none, or unknown
	Restarts int            // starts after the first
	Address  netip.AddrPort // where it serves, when it has a port and is started
	Node     string
	Since    time.Time     // when the state began
	Stages   []stead.Stage // how long each part of the start took; set once, with StateUp
}

// Command is what Exec runs.
type Command struct {
	Args []string
	Env  stead.Config // on top of the instance's
	TTY  bool
}

// Streams connects a command. Nil streams are empty or discarded. With a TTY,
// Stderr is not used and Resize may carry window sizes.
type Streams struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Resize <-chan Window
}

// Window is the size of a terminal, in characters.
type Window struct{ Cols, Rows uint16 }

// Sample is what an instance used, at one moment.
type Sample struct {
	Instance string
	At       time.Time
	CPU      time.Duration // total since start
	Memory   int64         // bytes now
	PIDs     int64
}
