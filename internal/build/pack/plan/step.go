package plan

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
)

// Epoch is SOURCE_DATE_EPOCH of build steps: 2000-01-01, which every archive
// format can say.
const Epoch = "946684800"

// AppUser owns and runs what is in /app, by number, so that no passwd file has
// to be read.
const AppUser = 1000

const (
	systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	systemCAs  = "/etc/ssl/certs/ca-certificates.crt"
)

//go:embed fetch.py
var fetchScript string

// Archive is a public archive, by version.
type Archive struct {
	Title  string // "Go 1.26.1"
	URL    string
	SHA256 string // "": trust TLS
	Prefix string // only what is below it is unpacked, without it
}

// Fetch is the archive, unpacked at / of a state of its own. It is fetched once
// and then known by its URL.
func (in Inputs) Fetch(a Archive) llb.State {
	run := in.Build.Run(Options(
		llb.Args([]string{"python3", "-I", "-c", fetchScript, a.URL, a.SHA256, a.Prefix, "/out"}),
		llb.WithCustomName("fetch "+a.Title), llb.User("root"),
		Env("SOURCE_DATE_EPOCH", Epoch), in.netrc(),
	))
	return run.AddMount("/out", llb.Scratch())
}

// Step are the options of a step that runs the app's own code: its
// environment, its config as secrets, and its name for the pusher. It runs as
// the app's user, and may write to what is that user's, to /tmp and to caches.
func (in Inputs) Step(title string, path string, argv ...string) llb.RunOption {
	return Options(append(in.secrets(), Tool(title, path, argv...), AsApp())...)
}

// AsApp makes a step run as the app's user.
func AsApp() llb.RunOption {
	return Options(llb.User("1000:1000"), Env("HOME", "/tmp"))
}

// made is where the app's user writes in a mount: its root is root's.
const made = "/made"

// owned is a file system with an empty directory of the app's user's at made.
func owned() llb.State {
	return llb.Scratch().File(llb.Mkdir(made, 0o755, llb.WithUIDGID(AppUser, AppUser)), llb.WithCustomName("[internal] empty directory"))
}

// Made mounts an empty directory that a step of the app's user fills, and
// returns what it holds afterwards, at /.
func Made(run llb.ExecState, dir string) llb.State {
	out := run.AddMount(dir, owned(), llb.SourcePath(made))
	return Copy(llb.Scratch(), out, made, "/", "[internal] take what was made")
}

// Tool are the options of a step that runs nothing of the app's: what it makes
// is the same for all apps. path holds directories in front of the system's.
func Tool(title string, path string, argv ...string) llb.RunOption {
	if path != "" {
		path += ":"
	}
	return Options(
		llb.Args(argv), llb.WithCustomName(title), llb.User("root"),
		Env("PATH", path+systemPath), Env("HOME", "/root"), Env("SOURCE_DATE_EPOCH", Epoch),
		Env("NODE_EXTRA_CA_CERTS", systemCAs), Env("PIP_CERT", systemCAs),
	)
}

// secrets hands over the app's config, but for the names that steps set.
func (in Inputs) secrets() []llb.RunOption {
	var names []string
	taken := append(mirrorNames(in.Mirrors), stepNames...)
	for name := range in.BuildEnv {
		if stead.CheckConfigKey(name) == nil && !slices.Contains(taken, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var opts []llb.RunOption
	for _, name := range names {
		opts = append(opts, llb.AddSecret(name, llb.SecretAsEnv(true), llb.SecretOptional))
	}
	return opts
}

// stepNames are what Tool sets.
var stepNames = []string{"PATH", "HOME", "SOURCE_DATE_EPOCH"}

// Work mounts a copy of the source that a step of the app's user may change.
func (in Inputs) Work(dir string) llb.RunOption {
	return llb.AddMount(dir, CopyApp(owned(), in.Source, "/", made, "[internal] copy the source", ".git"), llb.SourcePath(made))
}

// Cache mounts a directory that outlives the build, shared by the builds of
// one scope. It is the app's user's.
func (in Inputs) Cache(name, dir string) llb.RunOption { return in.cache(owned(), name, dir) }

// CacheFrom is Cache with what the directory holds at first: a state's root.
func (in Inputs) CacheFrom(first llb.State, name, dir string) llb.RunOption {
	return in.cache(CopyApp(owned(), first, "/", made, "[internal] begin cache"), name, dir)
}

func (in Inputs) cache(first llb.State, name, dir string) llb.RunOption {
	return llb.AddMount(dir, first, llb.SourcePath(made), llb.AsPersistentCacheDir(in.CacheScope+"/"+name, llb.CacheMountShared))
}

// Mirror returns the URL of a mirror without login and without a slash at its
// end, or the public one. Where the tool can, use Mirrored instead.
func (in Inputs) Mirror(name, public string) string {
	if m := in.Mirrors.Bare(name); m != "" {
		return m
	}
	return public
}

// Env sets a variable of one step.
func Env(name, value string) llb.RunOption { return llb.AddEnv(name, value) }

// Options makes one option of several.
func Options(opts ...llb.RunOption) llb.RunOption { return options(opts) }

type options []llb.RunOption

// SetRunOption implements llb.RunOption.
func (o options) SetRunOption(ei *llb.ExecInfo) {
	for _, opt := range o {
		opt.SetRunOption(ei)
	}
}

// Copy copies what is in a directory of from into dir of onto, without what
// the patterns leave out (.dockerignore's grammar). Owners stay.
func Copy(onto, from llb.State, src, dir, title string, exclude ...string) llb.State {
	return onto.File(llb.Copy(from, src, dir, &llb.CopyInfo{
		CopyDirContentsOnly: true, CreateDestPath: true, ExcludePatterns: exclude,
	}), llb.WithCustomName(title))
}

// CopyApp is Copy with the app's user as the owner, for what ends in /app.
func CopyApp(onto, from llb.State, src, dir, title string, exclude ...string) llb.State {
	return onto.File(llb.Copy(from, src, dir, &llb.CopyInfo{
		CopyDirContentsOnly: true, CreateDestPath: true, ExcludePatterns: exclude, ChownOpt: appOwner(),
	}), llb.WithCustomName(title))
}

// CopyFiles copies the named files and directories of from to the same place
// below dir.
func CopyFiles(onto, from llb.State, dir, title string, names ...string) llb.State {
	return onto.File(llb.Copy(from, "/", dir, &llb.CopyInfo{
		CopyDirContentsOnly: true, CreateDestPath: true, IncludePatterns: names,
	}), llb.WithCustomName(title))
}

// CopyAppFiles is CopyFiles with the app's user as the owner.
func CopyAppFiles(onto, from llb.State, dir, title string, names ...string) llb.State {
	return onto.File(llb.Copy(from, "/", dir, &llb.CopyInfo{
		CopyDirContentsOnly: true, CreateDestPath: true, IncludePatterns: names, ChownOpt: appOwner(),
	}), llb.WithCustomName(title))
}

func appOwner() *llb.ChownOpt {
	return &llb.ChownOpt{User: &llb.UserOpt{UID: AppUser}, Group: &llb.UserOpt{UID: AppUser}}
}

// Image is the config of an app's image: user app in /app, with the
// directories in front of the system's PATH, and variables NAME=value.
func Image(path []string, env ...string) ocispecs.ImageConfig {
	all := append([]string{"PATH=" + strings.Join(append(slices.Clone(path), systemPath), ":"), "HOME=/app"}, env...)
	return ocispecs.ImageConfig{User: "1000:1000", WorkingDir: "/app", Env: all}
}
