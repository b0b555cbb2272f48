package stead

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Process is a type of process of an app (web, worker, …): how many, how
// large, how its health is told. The command comes from the release.
type Process struct {
	Type      string     `json:"type"`
	Command   Command    `json:"command,omitempty"` // of the current release
	Quantity  int        `json:"quantity"`
	Size      string     `json:"size"` // a Size's name
	Health    Health     `json:"health"`
	StopGrace Seconds    `json:"stop_grace"` // between SIGTERM and SIGKILL; 30 by default
	Surge     int        `json:"surge"`      // instances above the quantity while they are replaced, in percent of it, at least one; 100: all at once
	IdleAfter Seconds    `json:"idle_after"` // without a request for so long, its instances stop until the next one comes; 0: never
	Asleep    bool       `json:"asleep"`     // stopped by that
	Stopped   bool       `json:"stopped"`    // quantity is kept, nothing runs
	Epoch     int        `json:"epoch"`      // raised by restart: a new epoch is rolled out like a release
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
}

// Seconds is a duration in whole seconds.
type Seconds int

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Health says how an instance shows that it can serve.
type Health struct {
	Path      string  `json:"path,omitempty"` // GET must answer 200–399; empty: a TCP connect to $PORT
	BootLimit Seconds `json:"boot_limit"`     // to become healthy after start; 60 by default
}

// Process types with a meaning of their own.
const (
	ProcessWeb     = "web"     // gets $PORT and the app's traffic
	ProcessRelease = "release" // runs once per release, before it goes live
	ProcessRun     = "run"     // names the instances of one-off tasks: run.1
)

// MaxQuantity is the largest quantity of one process.
const MaxQuantity = 500

var processGrammar = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// CheckProcessType refuses what cannot name a process type.
func CheckProcessType(field, t string) error {
	if !processGrammar.MatchString(t) {
		return Invalid(field, "process type "+quote(t)+" is not usable", "use lower-case letters, digits, - and _, such as web or worker")
	}
	return nil
}

// DefaultSurge is the Surge of a process that nobody changed.
const DefaultSurge = 25

// DefaultProcess returns a process as it is before anybody changed it: one web
// instance, none of any other type.
func DefaultProcess(t string) Process {
	p := Process{Type: t, Size: DefaultSize, StopGrace: 30, Surge: DefaultSurge, Health: Health{BootLimit: 60}}
	if t == ProcessWeb {
		p.Quantity = 1
	}
	return p
}

// Size is what one instance may use. Limits are hard; a CPU share above it is
// never given.
type Size struct {
	Name   string `json:"name"`
	Memory int64  `json:"memory"` // bytes; no swap on top
	CPU    int    `json:"cpu"`    // thousandths of a core
	PIDs   int64  `json:"pids"`
	Files  int    `json:"files"` // open files a process
}

// DefaultSize is the size of a process that nobody sized.
const DefaultSize = "standard-1x"

// Sizes are the sizes that a platform offers unless its operator says otherwise.
func Sizes() []Size {
	return []Size{
		{"nano", 128 << 20, 250, 128, 4096},
		{"basic", 256 << 20, 500, 256, 4096},
		{"standard-1x", 512 << 20, 1000, 512, 8192},
		{"standard-2x", 1 << 30, 2000, 1024, 8192},
		{"performance-m", 2560 << 20, 4000, 4096, 16384},
		{"performance-l", 14 << 30, 8000, 8192, 16384},
	}
}

// FindSize returns the size of that name.
func FindSize(sizes []Size, name string) (Size, error) {
	known := make([]string, 0, len(sizes))
	for _, s := range sizes {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Size{}, Invalid("size", "there is no size "+quote(name), "use one of "+strings.Join(known, ", "))
}

// Scale is one change of a process's quantity or size, as in "web=3",
// "web+1", "worker=2:standard-2x".
type Scale struct {
	Type  string `json:"type"`
	Op    string `json:"op"` // "=", "+" or "-"
	Count int    `json:"count"`
	Size  string `json:"size,omitempty"` // empty: unchanged
}

var scaleGrammar = regexp.MustCompile(`^([^=+]*?)([=+]|-)(\d{1,6})(?::([a-z0-9-]+))?$`)

// ParseScale reads one argument of "stead scale".
func ParseScale(s string) (Scale, error) {
	m := scaleGrammar.FindStringSubmatch(s)
	if m == nil {
		return Scale{}, Invalid("scale", quote(s)+" does not say how to scale", "write PROCESS=COUNT, as in web=3, web+1 or worker=2:standard-2x")
	}
	if err := CheckProcessType("scale", m[1]); err != nil {
		return Scale{}, err
	}
	n, err := strconv.Atoi(m[3])
	if err != nil {
		return Scale{}, Invalid("scale", quote(m[3])+" is not a count", "write a whole number, as in web=3")
	}
	return Scale{Type: m[1], Op: m[2], Count: n, Size: m[4]}, nil
}

// Apply returns the quantity that the change makes of q.
func (s Scale) Apply(q int) (int, error) {
	switch s.Op {
	case "+":
		q += s.Count
	case "-":
		q -= s.Count
	default:
		q = s.Count
	}
	if q < 0 || q > MaxQuantity {
		return 0, Invalid("scale", s.Type+" cannot have "+strconv.Itoa(q)+" instances", "choose a quantity from 0 to "+strconv.Itoa(MaxQuantity))
	}
	return q, nil
}

// InstanceState is the life of an instance:
//
//	starting ─→ up ─→ stopping ─→ (gone)
//	    └────────┴──→ crashed ─→ starting   after a back-off, without end
type InstanceState string

// The states of an instance.
const (
	InstanceStarting InstanceState = "starting"
	InstanceUp       InstanceState = "up" // healthy: may be given traffic
	InstanceStopping InstanceState = "stopping"
	InstanceCrashed  InstanceState = "crashed" // waiting for its next start
	InstanceExited   InstanceState = "exited"  // a task's end
)

// Instance is one running copy of a process.
type Instance struct {
	Name     string        `json:"name"` // "web.2"
	AppID    ID            `json:"app_id"`
	Process  string        `json:"process"`
	Release  int           `json:"release"`
	State    InstanceState `json:"state"`
	Reason   string        `json:"reason,omitempty"`    // for a person: "exit status 1", "killed for memory (512 MiB)", …
	ExitCode *int          `json:"exit_code,omitempty"` // of the last end; nil: none or unknown
	Restarts int           `json:"restarts"`
	Size     string        `json:"size"`
	Region   string        `json:"region"`
	Node     string        `json:"node,omitempty"`
	Since    time.Time     `json:"since"` // when the state began
	Ref      string        `json:"-"`     // the engine's id of it, for Exec
}

// TaskState is the life of a task.
type TaskState string

// The states of a task.
const (
	TaskPending   TaskState = "pending"
	TaskRunning   TaskState = "running"
	TaskSucceeded TaskState = "succeeded"
	TaskFailed    TaskState = "failed"
)

// Done reports whether the state is final.
func (s TaskState) Done() bool { return s == TaskSucceeded || s == TaskFailed }

// Task is a one-off process of an app's release: "stead run", a release phase.
type Task struct {
	ID         ID         `json:"id"`
	AppID      ID         `json:"app_id"`
	App        string     `json:"app"`
	Name       string     `json:"name"` // its instance: "run.7", "release.12"
	Release    int        `json:"release"`
	Command    Command    `json:"command"`
	Attached   bool       `json:"attached"` // a client holds its streams; it ends with them
	TTY        bool       `json:"tty,omitempty"`
	Env        Config     `json:"env,omitempty"` // on top of the release's, e.g. TERM
	Size       string     `json:"size"`
	State      TaskState  `json:"state"`
	ExitCode   *int       `json:"exit_code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	By         string     `json:"by"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}
