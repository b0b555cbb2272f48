// Package stack makes the base images that apps run on and are built on,
// without any image registry: from the distribution's own packages.
//
//	stacks/debian-12        what apps run on: Debian 12, small, with a user "app" (id 1000) and /app
//	stacks/debian-12-build  the same, with compilers and build tools, for build steps
//
// An image is made once for a recipe, kept in a cache directory for the
// machine's other platforms, and pushed to the registry under the recipe's tag.
package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Names of the repositories.
const (
	RunName   = "stacks/debian-12"
	BuildName = "stacks/debian-12-build"
)

const (
	version = "1" // raise when what is done with the packages changes
	suite   = "bookworm"
	epoch   = 1_700_000_000 // times in the image are not later than this
)

// UserID is the id of the user "app" and its group.
const UserID = 1000

func runPackages() []string {
	return []string{"ca-certificates", "curl", "libffi8", "libpq5", "libsqlite3-0", "libyaml-0-2", "media-types", "netbase", "openssl", "procps", "tzdata", "usr-is-merged"}
}

func buildPackages() []string {
	return []string{"build-essential", "git", "libffi-dev", "libpq-dev", "libsqlite3-dev", "libssl-dev", "libyaml-dev", "patch", "pkg-config",
		"python3", "python3-dev", "python3-pip", "python3-venv", "unzip", "xz-utils", "zlib1g-dev"}
}

// recipe is all that an image is made from.
type recipe struct {
	name     string
	packages []string
	sources  []string // lines of sources.list
	trust    map[string][]byte
}

// tag names what the recipe makes. Only the day's package versions are not in it.
func (r recipe) tag() string {
	h := sha256.New()
	for _, s := range slices.Concat([]string{version, r.name, runtime.GOARCH}, r.packages) {
		h.Write([]byte(s + "\x00"))
	}
	for _, name := range sortedKeys(r.trust) {
		h.Write([]byte(name + "\x00"))
		h.Write(r.trust[name])
	}
	return "r" + hex.EncodeToString(h.Sum(nil))[:16]
}

func sortedKeys(m map[string][]byte) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// trust reads the certificate authorities that the host's operator added, so
// that builds and apps trust what the host trusts
// (update-ca-certificates(8)).
func trust() (map[string][]byte, error) {
	out := map[string][]byte{}
	files, err := filepath.Glob("/usr/local/share/ca-certificates/*.crt")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		out[filepath.Base(f)] = data
	}
	return out, nil
}

// BuildLLB plans the build image: the run image and one step on top.
func BuildLLB(run llb.State) llb.State {
	script := "set -e; apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \"$@\"; " +
		"rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /var/log/alternatives.log"
	args := append([]string{"/bin/sh", "-c", script, "install"}, buildPackages()...)
	return run.Run(llb.Args(args), llb.User("root"), llb.WithCustomName("install compilers and build tools: "+strings.Join(buildPackages(), " "))).Root()
}

// Config is how processes of a base image run when nothing else is said.
func Config() ocispecs.ImageConfig {
	return ocispecs.ImageConfig{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"},
		WorkingDir: "/", Cmd: []string{"/bin/bash"}}
}
