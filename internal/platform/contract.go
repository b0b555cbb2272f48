// Package platform is the hall of the house: the use-cases, a file per noun.
//
// Each use-case checks access (the actor is in the context), validates, and
// makes one transaction that writes the change and its Event; then it wakes the
// loops. Nothing here is slow: a use-case writes intent, the loops of package
// converge carry it out and report back through the use-cases in loops.go.
//
// An app is referred to by ID, by name ("hello", in any space the actor can
// see, if only one has it), or by path ("space/hello", "org/space/hello").
// What the actor may not see is not found; what it may see but not change is
// forbidden.
package platform

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/secret"
	"github.com/steadpaas/stead/internal/store"
)

// Settings are the operator's choices that use-cases depend on.
type Settings struct {
	Domain   string                   // apps answer at <app>.<Domain>
	AppURL   func(host string) string // the URL of a host, with the port people use
	APIURL   string                   // http://127.0.0.1:7800
	SSHHost  string                   // host:port for ssh:// remotes
	Registry string                   // host:port of the image registry as people name it
	Sizes    []stead.Size
	MaxApps  int           // per space; 0: no limit
	TokenTTL time.Duration // of login tokens
	Version  string
}

// Sources keeps uploaded archives by digest.
type Sources interface {
	// Put stores what r gives, at most limit bytes, and returns its digest
	// (sha256:…) and size. Nothing is left of an upload that fails.
	Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error)
	Open(digest string) (io.ReadCloser, error)
}

// Deps is what a Platform is made of.
type Deps struct {
	Store    *store.Store
	Keys     *secret.KeyRing
	Logs     LogStore
	Engines  map[string]engine.Engine // by region's name
	Sources  Sources
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time
}

// LogStore is the part of package logs that use-cases need.
type LogStore interface {
	logs.Appender
	logs.Tailer
}

// ---- people ----

// Bootstrap makes the first administrator, the default org, space and region,
// on an empty platform, and returns a token for it. On one that has users it
// fails with KindConflict.
func (p *Platform) Bootstrap(ctx context.Context, email, password string) (stead.Token, error) {
	panic(errNotBuilt)
}

// Login checks a password and returns a new token, Secret included. Failures
// take the same time whether the user exists or not, and are rate-limited.
func (p *Platform) Login(ctx context.Context, email, password, tokenName string) (stead.Token, error) {
	panic(errNotBuilt)
}

// Authenticate returns the actor behind a token's secret.
func (p *Platform) Authenticate(ctx context.Context, secret string) (stead.Actor, error) {
	panic(errNotBuilt)
}

// AuthenticateKey returns the actor behind an SSH key's fingerprint.
func (p *Platform) AuthenticateKey(ctx context.Context, fingerprint string) (stead.Actor, error) {
	panic(errNotBuilt)
}

func (p *Platform) Me(ctx context.Context) (stead.User, error) { panic(errNotBuilt) }

// admin only
func (p *Platform) Users(ctx context.Context) ([]stead.User, error) { panic(errNotBuilt) }
func (p *Platform) CreateUser(ctx context.Context, email, name, password string, admin bool) (stead.User, error) {
	panic(errNotBuilt)
}

// id or email
func (p *Platform) DeleteUser(ctx context.Context, ref string) error { panic(errNotBuilt) }

// own, or admin; revokes login tokens but the caller's
func (p *Platform) SetPassword(ctx context.Context, ref, password string) error { panic(errNotBuilt) }
func (p *Platform) Tokens(ctx context.Context) ([]stead.Token, error)           { panic(errNotBuilt) }

// ttl 0: never expires; never wider than the caller's scope
func (p *Platform) CreateToken(ctx context.Context, name string, scope stead.Scope, ttl time.Duration) (stead.Token, error) {
	panic(errNotBuilt)
}
func (p *Platform) RevokeToken(ctx context.Context, id stead.ID) error  { panic(errNotBuilt) }
func (p *Platform) SSHKeys(ctx context.Context) ([]stead.SSHKey, error) { panic(errNotBuilt) }
func (p *Platform) AddSSHKey(ctx context.Context, authorizedKey string) (stead.SSHKey, error) {
	panic(errNotBuilt)
}

// id, fingerprint or name
func (p *Platform) RemoveSSHKey(ctx context.Context, ref string) error { panic(errNotBuilt) }

func (p *Platform) Orgs(ctx context.Context) ([]stead.Org, error) { panic(errNotBuilt) }

// the creator becomes its admin; makes its default space
func (p *Platform) CreateOrg(ctx context.Context, name string) (stead.Org, error) { panic(errNotBuilt) }

// org "" : all one can see
func (p *Platform) Spaces(ctx context.Context, org string) ([]stead.Space, error) { panic(errNotBuilt) }
func (p *Platform) CreateSpace(ctx context.Context, org, name string) (stead.Space, error) {
	panic(errNotBuilt)
}

// space "": of the org
func (p *Platform) Members(ctx context.Context, org, space string) ([]stead.Member, error) {
	panic(errNotBuilt)
}
func (p *Platform) SetMember(ctx context.Context, org, space, email string, role stead.Role) (stead.Member, error) {
	panic(errNotBuilt)
}
func (p *Platform) RemoveMember(ctx context.Context, org, space, email string) error {
	panic(errNotBuilt)
}

// ---- apps ----

// NewApp is the wish for an app. Empty fields have defaults; an empty Name is
// made up ("quiet-river-4821").
type NewApp struct{ Name, Org, Space, Region string }

// AppPatch changes what is not nil.
type AppPatch struct {
	Name        *string `json:"name,omitempty"`
	Maintenance *bool   `json:"maintenance,omitempty"`
}

func (p *Platform) CreateApp(ctx context.Context, n NewApp) (stead.App, error) { panic(errNotBuilt) }
func (p *Platform) Apps(ctx context.Context, org, space string) ([]stead.App, error) {
	panic(errNotBuilt)
}
func (p *Platform) App(ctx context.Context, ref string) (stead.App, error) { panic(errNotBuilt) }
func (p *Platform) UpdateApp(ctx context.Context, ref string, patch AppPatch) (stead.App, error) {
	panic(errNotBuilt)
}

// intent: loops remove what runs; the name is free when that is done
func (p *Platform) DestroyApp(ctx context.Context, ref string) error { panic(errNotBuilt) }

func (p *Platform) Config(ctx context.Context, ref string) (stead.Config, error) { panic(errNotBuilt) }

// SetConfig sets and (nil value) removes keys in one release. No change makes
// no release: the returned Release is then the current one. Before the first
// build there is no release yet: Version 0.
func (p *Platform) SetConfig(ctx context.Context, ref string, change map[string]*string) (stead.Config, stead.Release, error) {
	panic(errNotBuilt)
}

func (p *Platform) Processes(ctx context.Context, ref string) ([]stead.Process, error) {
	panic(errNotBuilt)
}
func (p *Platform) Scale(ctx context.Context, ref string, changes []stead.Scale) ([]stead.Process, error) {
	panic(errNotBuilt)
}

// ProcessPatch changes what is not nil. Changes of size or health roll out
// like a release.
type ProcessPatch struct {
	Size      *string        `json:"size,omitempty"`
	Path      *string        `json:"path,omitempty"`
	BootLimit *stead.Seconds `json:"boot_limit,omitempty"`
	StopGrace *stead.Seconds `json:"stop_grace,omitempty"`
}

func (p *Platform) UpdateProcess(ctx context.Context, ref, process string, patch ProcessPatch) (stead.Process, error) {
	panic(errNotBuilt)
}

// Restart replaces instances without losing a request: of the whole app
// (target ""), of a process ("web"). It also starts what was stopped.
func (p *Platform) Restart(ctx context.Context, ref, target string) error { panic(errNotBuilt) }

// Stop stops the app's (target "") or a process's instances and keeps its quantity.
func (p *Platform) Stop(ctx context.Context, ref, target string) error { panic(errNotBuilt) }
func (p *Platform) Instances(ctx context.Context, ref string) ([]stead.Instance, error) {
	panic(errNotBuilt)
}

func (p *Platform) Domains(ctx context.Context, ref string) ([]stead.Domain, error) {
	panic(errNotBuilt)
}

// also its route "/" to web
func (p *Platform) AddDomain(ctx context.Context, ref, host string) (stead.Domain, error) {
	panic(errNotBuilt)
}
func (p *Platform) RemoveDomain(ctx context.Context, ref, host string) error      { panic(errNotBuilt) }
func (p *Platform) Routes(ctx context.Context, ref string) ([]stead.Route, error) { panic(errNotBuilt) }
func (p *Platform) AddRoute(ctx context.Context, ref string, r stead.Route) (stead.Route, error) {
	panic(errNotBuilt)
}
func (p *Platform) RemoveRoute(ctx context.Context, ref string, id stead.ID) error {
	panic(errNotBuilt)
}

// ---- deploy ----

// MaxSource is the largest archive of a source, in bytes.
const MaxSource = 1 << 30

// UploadSource stores an archive for a later Push. It needs ActWrite on the app.
func (p *Platform) UploadSource(ctx context.Context, ref string, r io.Reader) (stead.Source, error) {
	panic(errNotBuilt)
}

// Push queues a build of the source and returns it.
func (p *Platform) Push(ctx context.Context, ref string, src stead.Source) (stead.Build, error) {
	panic(errNotBuilt)
}

// newest first
func (p *Platform) Builds(ctx context.Context, ref string) ([]stead.Build, error) { panic(errNotBuilt) }
func (p *Platform) Build(ctx context.Context, ref string, number int) (stead.Build, error) {
	panic(errNotBuilt)
}
func (p *Platform) CancelBuild(ctx context.Context, ref string, number int) (stead.Build, error) {
	panic(errNotBuilt)
}

// newest first
func (p *Platform) Releases(ctx context.Context, ref string) ([]stead.Release, error) {
	panic(errNotBuilt)
}
func (p *Platform) Release(ctx context.Context, ref string, version int) (stead.Release, error) {
	panic(errNotBuilt)
}

// 0: the one before the live one
func (p *Platform) Rollback(ctx context.Context, ref string, version int) (stead.Release, error) {
	panic(errNotBuilt)
}

// BuildOutput yields the build's lines and, with follow, those to come, until
// the build is done.
func (p *Platform) BuildOutput(ctx context.Context, ref string, number int, follow bool) (iter.Seq2[logs.Line, error], error) {
	panic(errNotBuilt)
}

// ReleaseOutput is BuildOutput for a release: its release phase, each instance
// coming up, the URL or why it failed.
func (p *Platform) ReleaseOutput(ctx context.Context, ref string, version int, follow bool) (iter.Seq2[logs.Line, error], error) {
	panic(errNotBuilt)
}

// Logs yields lines of the app.
func (p *Platform) Logs(ctx context.Context, ref string, q logs.Query) (iter.Seq2[logs.Line, error], error) {
	panic(errNotBuilt)
}

// ---- tasks ----

// NewTask is the wish for a one-off task. Size "" is the web process's.
type NewTask struct {
	Command  stead.Command `json:"command"`
	Attached bool          `json:"attached"`
	TTY      bool          `json:"tty,omitempty"`
	Env      stead.Config  `json:"env,omitempty"`
	Size     string        `json:"size,omitempty"`
}

func (p *Platform) Run(ctx context.Context, ref string, n NewTask) (stead.Task, error) {
	panic(errNotBuilt)
}
func (p *Platform) Tasks(ctx context.Context, ref string) ([]stead.Task, error) { panic(errNotBuilt) }
func (p *Platform) Task(ctx context.Context, ref, name string) (stead.Task, error) {
	panic(errNotBuilt)
}
func (p *Platform) StopTask(ctx context.Context, ref, name string) error { panic(errNotBuilt) }

// AttachTask waits until the attached task's instance is up, runs its command
// on the streams, records its end and returns its exit code.
func (p *Platform) AttachTask(ctx context.Context, ref, name string, s engine.Streams) (int, error) {
	panic(errNotBuilt)
}

// Exec runs a command in a running instance ("web.1"; "" is any web instance).
func (p *Platform) Exec(ctx context.Context, ref, instance string, c engine.Command, s engine.Streams) (int, error) {
	panic(errNotBuilt)
}

// ---- audit, status ----

// EventQuery narrows Events.
type EventQuery struct {
	App    string   // a reference; "": everything the actor may see
	Verb   string   // prefix
	After  stead.ID // cursor: only events after this one
	Limit  int      // 100 by default, 1000 at most; the newest
	Follow bool     // go on with new ones
}

// Events yields events in the order they happened.
func (p *Platform) Events(ctx context.Context, q EventQuery) (iter.Seq2[stead.Event, error], error) {
	panic(errNotBuilt)
}

// Check is one line of Status: a part of the platform and how it does.
type Check struct {
	Name   string `json:"name"` // "database", "engine default", "router", "builder", "disk"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was seen; if not OK, why and what to try
}

// Status is how the platform does, for people and for load balancers.
type Status struct {
	Version string  `json:"version"`
	OK      bool    `json:"ok"`
	Checks  []Check `json:"checks"`
}

// AddCheck registers a check that Status runs, at wiring time.
func (p *Platform) AddCheck(name string, check func(context.Context) (string, error)) {
	panic(errNotBuilt)
}

// any authenticated actor
func (p *Platform) Status(ctx context.Context) (Status, error) { panic(errNotBuilt) }

// AuthorizeRepository decides whether the actor may pull from or push to an
// image repository, and returns its app. Repositories are "apps/<app id>", and
// "<app reference>" for docker push.
func (p *Platform) AuthorizeRepository(ctx context.Context, repository string, push bool) (stead.App, error) {
	panic(errNotBuilt)
}

// ---- for the loops (loops.go): the system acts ----

// Topic is what a wake is about.
type Topic string

// The topics.
const (
	TopicBuilds Topic = "builds"
	TopicApps   Topic = "apps" // intent of an app changed
	TopicTasks  Topic = "tasks"
	TopicEvents Topic = "events"
)

// Wakes returns a channel that receives a hint, at most one pending, whenever
// the topic changed; stop releases it. A wake is a hint: tick too.
func (p *Platform) Wakes(t Topic) (c <-chan struct{}, stop func()) { panic(errNotBuilt) }

// ReleaseSpec is a release with what it runs with, secrets included.
type ReleaseSpec struct {
	stead.Release
	Config stead.Config
	Epoch  int // of the app: a restart of the same release rolls out again
}

// Intent is all that the loops need to know of one app.
type Intent struct {
	App       stead.App
	Destroyed bool            // remove everything that runs, then ForgetApp
	Processes []stead.Process // quantities, sizes, health
	Live      *ReleaseSpec    // serves now; nil: none yet
	Target    *ReleaseSpec    // to be rolled out; nil: none, or the same as Live
	Routes    []stead.Route
}

func (p *Platform) Intents(ctx context.Context) ([]Intent, error) { panic(errNotBuilt) }

// ClaimBuild takes the oldest queued build, or a running one whose claim ran
// out (its platform died), for holder; renew by KeepBuild within ttl. nil: none.
func (p *Platform) ClaimBuild(ctx context.Context, holder string, ttl time.Duration) (*BuildJob, error) {
	panic(errNotBuilt)
}

// KeepBuild extends the claim; it fails with KindConflict if the build was
// canceled or taken over.
func (p *Platform) KeepBuild(ctx context.Context, id stead.ID, holder string, ttl time.Duration) error {
	panic(errNotBuilt)
}

// FinishBuild records the end of a build. With failure nil, it makes release
// N+1 from the image and wakes the rollout.
func (p *Platform) FinishBuild(ctx context.Context, id stead.ID, holder string, out BuildOutcome, failure error) (stead.Build, error) {
	panic(errNotBuilt)
}

// BuildJob is a claimed build with what it needs.
type BuildJob struct {
	Build  stead.Build
	App    stead.App
	Config stead.Config
}

// BuildOutcome is what a build made.
type BuildOutcome struct {
	Pack   string
	Image  stead.Image
	Stages []stead.Stage
}

// MarkRelease moves a release on: pending → releasing → rolling. It fails with
// KindConflict when a newer release took its place.
func (p *Platform) MarkRelease(ctx context.Context, id stead.ID, state stead.ReleaseState) error {
	panic(errNotBuilt)
}

// ReleaseLive makes the release the one that serves and the former superseded.
func (p *Platform) ReleaseLive(ctx context.Context, id stead.ID, epoch int) error { panic(errNotBuilt) }

// ReleaseFailed gives the release up, with the reason for people. What was live stays live.
func (p *Platform) ReleaseFailed(ctx context.Context, id stead.ID, reason string) error {
	panic(errNotBuilt)
}

// ForgetApp removes the rows of a destroyed app of which nothing runs any more.
func (p *Platform) ForgetApp(ctx context.Context, id stead.ID) error { panic(errNotBuilt) }

// ReportInstances replaces what is known of the instances of an app.
func (p *Platform) ReportInstances(ctx context.Context, app stead.ID, instances []stead.Instance) error {
	panic(errNotBuilt)
}

// TaskJob is an unfinished task with what it needs.
type TaskJob struct {
	Task    stead.Task
	App     stead.App
	Release ReleaseSpec
}

func (p *Platform) OpenTasks(ctx context.Context) ([]TaskJob, error) { panic(errNotBuilt) }

// ReleaseTask makes (once; idempotent) the release phase's task of a release.
func (p *Platform) ReleaseTask(ctx context.Context, release stead.ID) (stead.Task, error) {
	panic(errNotBuilt)
}
func (p *Platform) StartTask(ctx context.Context, id stead.ID) error { panic(errNotBuilt) }
func (p *Platform) FinishTask(ctx context.Context, id stead.ID, exit *int, reason string) error {
	panic(errNotBuilt)
}

// KeptImages returns the references that must not be collected: of live and
// target releases and of the last ten of each app, rollback targets included.
func (p *Platform) KeptImages(ctx context.Context) ([]string, error) { panic(errNotBuilt) }

// Platform is the set of use-cases over one store.
type Platform struct{ d Deps }

// New returns a platform over d.
func New(d Deps) *Platform { return &Platform{d: d} }

var errNotBuilt = errors.New("not built yet")
