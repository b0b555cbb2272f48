package build

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

// Mirrors tells where builds fetch from, by what is mirrored: one of the names
// below, or a registry's host ("docker.io") for images. What is not in it is
// fetched from its public source. A URL may hold a user and password; those
// reach build steps as secrets only.
type Mirrors map[string]string

// What can be mirrored, besides registries.
const (
	MirrorApt       = "apt"       // a Debian mirror
	MirrorNPM       = "npm"       // an npm registry
	MirrorGo        = "goproxy"   // a Go module proxy; GOPROXY's list form is fine
	MirrorGoSum     = "gosumdb"   // GOSUMDB's value, such as "off"; not a URL
	MirrorPyPI      = "pypi"      // a simple index (PEP 503)
	MirrorRubyGems  = "rubygems"  // a gem source
	MirrorMaven     = "maven"     // a Maven repository for all others, Gradle's too
	MirrorPackagist = "packagist" // a Composer repository
	MirrorCrates    = "crates"    // a sparse registry index, as sparse+https://…
	MirrorNuGet     = "nuget"     // a NuGet v3 index
	MirrorHex       = "hex"       // a Hex repository
	MirrorGradle    = "gradle"    // Gradle's distributions, for its wrapper
	MirrorDotNet    = "dotnet"    // .NET SDKs and runtimes, as below builds.dotnet.microsoft.com/dotnet
)

// MirrorNames lists them.
func MirrorNames() []string {
	return []string{MirrorApt, MirrorNPM, MirrorGo, MirrorGoSum, MirrorPyPI, MirrorRubyGems, MirrorMaven, MirrorPackagist, MirrorCrates, MirrorNuGet, MirrorHex, MirrorGradle, MirrorDotNet}
}

var registryHost = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?$`)

// ParseMirrors reads "npm=https://… docker.io=mirror.example.com …", separated
// by space. The value "public" says that the host's own setting is not used.
func ParseMirrors(s string) (Mirrors, error) {
	m := Mirrors{}
	for _, word := range strings.Fields(s) {
		name, value, ok := strings.Cut(word, "=")
		if !ok || value == "" || !slices.Contains(MirrorNames(), name) && !registryHost.MatchString(name) {
			return nil, stead.Invalid("mirrors", "a mirror cannot be read: "+name,
				"write NAME=URL, separated by space, where NAME is "+strings.Join(MirrorNames(), ", ")+" or a registry's host such as docker.io")
		}
		if err := checkMirror(name, value); err != nil {
			return nil, err
		}
		m[name] = value
	}
	return m, nil
}

func checkMirror(name, value string) error {
	if value == "public" || name == MirrorGoSum || registryHost.MatchString(name) && registryHost.MatchString(value) {
		return nil
	}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return name == MirrorGo && (r == ',' || r == '|') }) {
		if name == MirrorGo && (part == "direct" || part == "off") {
			continue
		}
		u, err := url.Parse(strings.TrimPrefix(part, "sparse+"))
		if err == nil && name == MirrorApt && u.User != nil {
			return stead.Invalid("mirrors", "the apt mirror's URL holds a login, which base images would keep", "allow the platform's address at the mirror instead")
		}
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(part, "\"'<>`\\{}") {
			return stead.Invalid("mirrors", "the mirror for "+name+" is not a URL", "write it as https://host/path; quote and bracket characters must be percent-encoded")
		}
	}
	return nil
}

// Over returns the mirrors with those of base where m says nothing, and
// without the public ones.
func (m Mirrors) Over(base Mirrors) Mirrors {
	out := Mirrors{}
	for _, layer := range []Mirrors{base, m} {
		for name, value := range layer {
			out[name] = value
			if value == "public" {
				delete(out, name)
			}
		}
	}
	return out
}

// Registries returns the mirrors of image registries: host → mirror's host.
func (m Mirrors) Registries() map[string]string {
	out := map[string]string{}
	for name, value := range m {
		if registryHost.MatchString(name) {
			_, at, found := strings.Cut(value, "://")
			if !found {
				at = value
			}
			out[name] = strings.TrimRight(at, "/")
		}
	}
	return out
}

// Bare returns the URL of a mirror without user, password and the slash at its
// end; "" when there is none.
func (m Mirrors) Bare(name string) string {
	parts := strings.Split(m[name], ",")
	for i, part := range parts {
		prefix := ""
		if strings.HasPrefix(part, "sparse+") {
			prefix, part = "sparse+", strings.TrimPrefix(part, "sparse+")
		}
		u, err := url.Parse(part)
		if err != nil {
			return ""
		}
		u.User = nil
		parts[i] = prefix + strings.TrimRight(u.String(), "/")
	}
	return strings.Join(parts, ",")
}

// Login returns the user and password of a mirror's URL.
func (m Mirrors) Login(name string) (user, password string, ok bool) {
	u, err := url.Parse(strings.TrimPrefix(m[name], "sparse+"))
	if err != nil || u.User == nil {
		return "", "", false
	}
	password, _ = u.User.Password()
	return u.User.Username(), password, true
}
