package golang

import (
	"regexp"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
	"golang.org/x/mod/semver"
)

// Default is the Go version of what names none, and of what is older than the
// table: Go compiles older code as it always did.
const Default = "1.26.11"

const publicProxy = "https://proxy.golang.org"

// latest are the newest releases, as this version of Stead knows them, with
// the SHA-256 of the module zip for linux/amd64.
var latest = []struct{ version, sha256 string }{
	{"1.24.13", "d2b048367a3d1a748b87f756fa06df12ce3b419e1d5f2a3612acb8950d615f9f"},
	{"1.25.14", "1bb543a7745d4c6e045a1bfdb4c4d5a0b05b71ee8b8ff72c0a351598b26991a4"},
	{"1.26.11", "e1edb778de0aa08c8e827f5a873b35a46afe680fb241482c531725b2355e470d"},
	{"1.27.4", "7ecd542f86ccbbb5017de33ac529872bc48c71f4edb658d63a18d2206f482b9b"},
}

var versionGrammar = regexp.MustCompile(`^1\.[0-9]{1,3}(\.[0-9]{1,3}|(beta|rc)[0-9]{1,2})?$`)

// resolve turns what a file asks for into a release. An exact one ("1.25.3"
// in a toolchain line or .go-version) is kept. A least one ("1.25", "1.25.3"
// in a go line) becomes the newest known release of the same minor version.
func resolve(asked string, exact bool) (string, error) {
	asked = strings.TrimPrefix(strings.TrimSpace(asked), "go")
	if asked == "" || asked == "default" {
		return Default, nil
	}
	if !versionGrammar.MatchString(asked) {
		return "", stead.Invalid("go.mod", "Go version "+plan.Plain(asked)+" is not one that Stead can fetch",
			"write a release such as 1.26 or "+Default)
	}
	full := strings.Count(asked, ".") == 2 || strings.ContainsAny(asked, "br")
	if exact && full {
		return asked, nil
	}
	v := "v" + asked
	for _, r := range latest {
		if semver.MajorMinor("v"+r.version) == semver.MajorMinor(v) && semver.Compare("v"+r.version, v) >= 0 {
			return r.version, nil
		}
	}
	if semver.Compare(v, "v"+latest[0].version) < 0 {
		return Default, nil
	}
	if full {
		return asked, nil
	}
	return asked + ".0", nil
}

// Toolchain is Go of that version, at / of a state of its own.
func Toolchain(in plan.Inputs, version string) (llb.State, error) {
	arch := in.Platform.Architecture
	if arch != "amd64" && arch != "arm64" {
		return llb.State{}, stead.Invalid("source", "the Go pack does not know the architecture "+plan.Plain(arch), "use a Dockerfile")
	}
	name := "v0.0.1-go" + version + ".linux-" + arch
	a := plan.Archive{Title: "Go " + version, Prefix: "golang.org/toolchain@" + name + "/",
		URL: proxy(in.Mirrors.Bare(plan.MirrorGo)) + "/golang.org/toolchain/@v/" + name + ".zip"}
	for _, r := range latest {
		if r.version == version && arch == "amd64" {
			a.SHA256 = r.sha256
		}
	}
	return in.Fetch(a), nil
}

// proxy returns the first URL of a GOPROXY list.
func proxy(list string) string {
	for _, p := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		if strings.HasPrefix(p, "http") {
			return strings.TrimRight(p, "/")
		}
	}
	return publicProxy
}
