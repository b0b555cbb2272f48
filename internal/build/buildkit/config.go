// Package buildkit is the Builder: it runs one BuildKit daemon in a sandbox
// and has it solve what the packs plan.
//
// The daemon, and with it everything that a build runs, lives in a user
// namespace (root inside is nobody outside), with process, mount, network, IPC
// and host name namespaces of its own, sees its own directories only, and is
// capped by a control group. Its network is an endpoint of the platform's: the
// internet, the image registry, and nothing else.
package buildkit

import (
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/image"
)

// Config is what a Builder is made of. Zero values have the defaults given.
type Config struct {
	Dir      string // state, caches and the unpacked sources; <data>/build
	Bin      string // holds buildkitd and runc, and nothing that a build must not read
	Helper   string // the program that calls EnterMain for "sandbox …"; this one
	Cgroup   string // names the platform's control group, such as "stead-main"
	CertFile string // trusted certificate authorities; the host's

	NetNS     string       // of the network endpoint whose link the sandbox takes over
	Resolvers []netip.Addr // name servers for the daemon and its steps
	UIDBase   int          // the host's id of root inside; DefaultUIDBase

	Registry image.Registry // with the platform's own user
	// Credential returns a short-lived user and password that open one repository.
	Credential func(repository string, until time.Time) (user, password string)

	StackCache string        // base images are kept here for other platforms of the machine; /var/cache/stead
	Mirrors    build.Mirrors // where builds fetch packages and images

	Limits      build.Limits // what a request that names none gets
	Parallel    int          // builds at a time; 2
	CacheBytes  int64        // budget of the build cache; 20 GiB
	MinFree     int64        // of the file system below Dir: a build that gets it below is ended; 2 GiB
	GrowthLimit int64        // how much a build may write, about; 10 GiB

	Remotes image.Remotes // where ready images and Dockerfile bases may come from, besides Registry; none
}

// DefaultLimits are what one build may use.
func DefaultLimits() build.Limits {
	return build.Limits{Memory: 2 << 30, CPU: 2000, PIDs: 2048, Source: 2 << 30, Files: 200_000, Time: 30 * time.Minute}
}

func (c Config) withDefaults() Config {
	set(&c.Limits.Memory, DefaultLimits().Memory)
	set(&c.Limits.CPU, DefaultLimits().CPU)
	set(&c.Limits.PIDs, DefaultLimits().PIDs)
	set(&c.Limits.Source, DefaultLimits().Source)
	set(&c.Limits.Files, DefaultLimits().Files)
	set(&c.Limits.Time, DefaultLimits().Time)
	set(&c.UIDBase, DefaultUIDBase)
	set(&c.Parallel, 2)
	set(&c.CacheBytes, 20<<30)
	set(&c.MinFree, 2<<30)
	set(&c.GrowthLimit, 10<<30)
	set(&c.StackCache, "/var/cache/stead")
	if c.CertFile == "" {
		c.CertFile = firstFile("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
	}
	if c.Helper == "" {
		c.Helper, _ = os.Executable()
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func firstFile(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// limitsOf completes the limits of a request.
func (c Config) limitsOf(l build.Limits) build.Limits {
	set(&l.Memory, c.Limits.Memory)
	set(&l.CPU, c.Limits.CPU)
	set(&l.PIDs, c.Limits.PIDs)
	set(&l.Source, c.Limits.Source)
	set(&l.Files, c.Limits.Files)
	set(&l.Time, c.Limits.Time)
	return l
}

func (c Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

func (c Config) socket() string { return c.path("run", "buildkitd.sock") }
