package stead

// Wishes are what the descriptors of a source (Procfile, app.json, …) ask for.
// They are defaults: what somebody has set on the app stays.
type Wishes struct {
	Processes map[string]ProcessWish `json:"processes,omitempty"` // "release" is the release phase
	Config    map[string]ConfigWish  `json:"config,omitempty"`
	Routes    []RouteWish            `json:"routes,omitempty"`
	Schedules []ScheduleWish         `json:"schedules,omitempty"`
	Services  []ServiceWish          `json:"services,omitempty"`
	Build     BuildWish              `json:"build,omitzero"`
}

// ProcessWish is a process as a descriptor wants it. It takes effect with the
// first release that has the process.
type ProcessWish struct {
	Command   Command `json:"command,omitempty"` // nil: the image's own
	Quantity  *int    `json:"quantity,omitempty"`
	Size      string  `json:"size,omitempty"`       // a Size's name
	Memory    int64   `json:"memory,omitempty"`     // bytes: the smallest Size that has them, if Size is empty
	Path      string  `json:"path,omitempty"`       // of the health check
	BootLimit Seconds `json:"boot_limit,omitempty"` // 0: the default
	StopGrace Seconds `json:"stop_grace,omitempty"` // 0: the default
}

// ConfigWish is a variable's default, for apps that have not set it.
type ConfigWish struct {
	Value    string `json:"value,omitempty"`
	Generate bool   `json:"generate,omitempty"` // a random secret, made once
	Required bool   `json:"required,omitempty"` // no default: somebody must set it
}

// RouteWish sends requests below a path to a process.
type RouteWish struct {
	Host    string `json:"host,omitempty"` // empty: the app's own
	Path    string `json:"path"`
	Process string `json:"process"`
}

// ScheduleWish is a task to run at times.
type ScheduleWish struct {
	Cron    string  `json:"cron"` // five fields (crontab(5)), in UTC unless Zone is set
	Zone    string  `json:"zone,omitempty"`
	Command Command `json:"command"`
	Path    string  `json:"-"` // instead of a command, as App Engine has it; never honoured
}

// ServiceWish is a service that the app wants bound.
type ServiceWish struct {
	Offering string `json:"offering"`
	Plan     string `json:"plan,omitempty"`
	Name     string `json:"name,omitempty"`
}

// BuildWish says how to build, where the source does not speak for itself.
type BuildWish struct {
	Dockerfile string            `json:"dockerfile,omitempty"`
	Target     string            `json:"target,omitempty"`   // stage of the Dockerfile
	Args       map[string]string `json:"args,omitempty"`     // of the Dockerfile
	Before     []string          `json:"before,omitempty"`   // shell lines, on the source, before the pack
	After      []string          `json:"after,omitempty"`    // shell lines, in /app of the image, after the pack
	Packages   []string          `json:"packages,omitempty"` // of Debian, in build and image
	Env        map[string]string `json:"env,omitempty"`      // for build steps only
	Versions   map[string]string `json:"versions,omitempty"` // by tool, as in .tool-versions
}

// Finding is one thing that a descriptor says.
type Finding struct {
	File     string `json:"file"`
	Says     string `json:"says"`
	Means    string `json:"means"` // what comes of it; if it is not honoured, why
	Honoured bool   `json:"honoured"`
}

// Explanation is what a source is and asks for, told without building it.
type Explanation struct {
	Pack      string             `json:"pack,omitempty"`
	Summary   string             `json:"summary,omitempty"`
	Problem   string             `json:"problem,omitempty"` // why a build would end at once; then Pack is empty
	Processes map[string]Command `json:"processes,omitempty"`
	Wishes    Wishes             `json:"wishes"`
	Findings  []Finding          `json:"findings" nullable:"false"`
	Notes     []string           `json:"notes,omitempty"` // of the pack
}
