package plan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build"
)

// Where the files of mirrors are in build steps that ask for them. Cargo looks
// in the directories above the source for its own.
const (
	MavenSettings = "/run/mirrors/settings.xml"  // for mvn --settings
	GradleInit    = "/run/mirrors/mirror.gradle" // for gradle --init-script
	NuGetConfig   = "/run/mirrors/NuGet.Config"  // for dotnet restore --configfile
	npmConfig     = "/run/mirrors/npmrc"
	composerHome  = "/run/mirrors/composer"
	cargoConfig   = "/.cargo/config.toml"
	netrcFile     = "/run/mirrors/netrc"
)

// Mirrored are the options of a step that fetches packages: the environment and
// the configuration files by which the tools of those ecosystems (names as
// build.MirrorNPM) fetch from the operator's mirrors. Where there is no mirror
// it changes nothing. What holds a password is a secret: it is in no layer and
// not in the plan.
func (in Inputs) Mirrored(names ...string) llb.RunOption {
	var opts []llb.RunOption
	for _, name := range names {
		if in.Mirrors[name] == "" {
			continue
		}
		for _, v := range variables(in.Mirrors, name) {
			if v.secret {
				opts = append(opts, llb.AddSecretWithDest(v.id(), nil, llb.SecretAsEnv(true), llb.SecretAsEnvName(v.name), llb.SecretOptional))
			} else {
				opts = append(opts, Env(v.name, v.value))
			}
		}
		for _, f := range files(in.Mirrors, name) {
			opts = append(opts, llb.AddSecret(f.path, llb.SecretID(f.id()), llb.SecretFileOpt(AppUser, AppUser, 0o400), llb.SecretOptional))
		}
	}
	return Options(opts...)
}

// MirrorSecrets are the secrets that Mirrored names, for who solves the plan.
func MirrorSecrets(m build.Mirrors) map[string][]byte {
	out := map[string][]byte{}
	if text := netrcText(m); text != "" {
		out[file{path: netrcFile}.id()] = []byte(text)
	}
	for name := range m {
		for _, v := range variables(m, name) {
			if v.secret {
				out[v.id()] = []byte(v.value)
			}
		}
		for _, f := range files(m, name) {
			out[f.id()] = []byte(f.text)
		}
	}
	return out
}

// MirrorVariables are those that hold no secret, by name: for Dockerfiles that
// declare them with ARG.
func MirrorVariables(m build.Mirrors) map[string]string {
	out := map[string]string{}
	for name := range m {
		for _, v := range variables(m, name) {
			if !v.secret {
				out[v.name] = v.value
			}
		}
	}
	return out
}

// netrc gives Fetch the logins of all mirrors.
func (in Inputs) netrc() llb.RunOption {
	if netrcText(in.Mirrors) == "" {
		return Options()
	}
	return llb.AddSecret(netrcFile, llb.SecretID(file{path: netrcFile}.id()), llb.SecretOptional)
}

func netrcText(m build.Mirrors) string {
	var lines []string
	for name := range m {
		user, password, ok := m.Login(name)
		u, err := url.Parse(m.Bare(name))
		if ok && err == nil && !strings.ContainsAny(user+password, " \t\r\n\"\\#") {
			lines = append(lines, "machine "+u.Hostname()+" login "+user+" password "+password+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "")
}

type variable struct {
	name, value string
	secret      bool
}

func (v variable) id() string { return "stead.mirror.env." + v.name }

type file struct{ path, text string }

func (f file) id() string {
	return "stead.mirror.file." + f.path[strings.LastIndexByte(f.path, '/')+1:]
}

// variables of a mirror, by the manuals of the tools that read them.
func variables(m build.Mirrors, name string) []variable {
	at := strings.TrimRight(m[name], "/")
	_, _, login := m.Login(name)
	all := func(names ...string) (out []variable) {
		for _, n := range names {
			out = append(out, variable{n, at, login})
		}
		return out
	}
	switch name {
	case build.MirrorApt:
		return all("APT_MIRROR")
	case build.MirrorNPM:
		at = m.Bare(name)
		out := []variable{{"npm_config_registry", at, false}, {"YARN_REGISTRY", at, false}, {"YARN_NPM_REGISTRY_SERVER", at, false}}
		if login {
			out = append(out, variable{"npm_config_userconfig", npmConfig, false})
		}
		return out
	case build.MirrorGo:
		login = strings.Contains(m[name], "@")
		return all("GOPROXY")
	case build.MirrorGoSum:
		return []variable{{"GOSUMDB", m[name], false}}
	case build.MirrorPyPI:
		out := all("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PDM_PYPI_URL")
		if u, err := url.Parse(m.Bare(name)); err == nil && u.Scheme == "http" { // who chose it wants it
			out = append(out, variable{"PIP_TRUSTED_HOST", u.Hostname(), false})
		}
		return out
	case build.MirrorRubyGems:
		return all("BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/")
	case build.MirrorPackagist:
		return []variable{{"COMPOSER_HOME", composerHome, false}}
	case build.MirrorHex:
		return all("HEX_MIRROR", "HEX_MIRROR_URL")
	}
	return nil
}

// files of a mirror, for tools whose environment cannot say it.
func files(m build.Mirrors, name string) []file {
	user, password, login := m.Login(name)
	at := m.Bare(name)
	switch name {
	case build.MirrorNPM:
		if login {
			_, rest, _ := strings.Cut(at, ":")
			auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
			return []file{{npmConfig, fmt.Sprintf("registry=%s/\n%s/:_auth=%s\n", at, rest, auth)}}
		}
	case build.MirrorMaven:
		return []file{{MavenSettings, mavenSettings(at, user, password)}, {GradleInit, gradleInit(at, user, password)}}
	case build.MirrorPackagist:
		return composerFiles(at, user, password, login)
	case build.MirrorCrates:
		return []file{{cargoConfig, cargoText(at, user, password, login)}}
	case build.MirrorNuGet:
		return []file{{NuGetConfig, nugetText(at, user, password, login)}}
	}
	return nil
}

func mavenSettings(at, user, password string) string {
	return "<settings><mirrors><mirror><id>mirror</id><mirrorOf>*</mirrorOf><url>" + html.EscapeString(at) + "</url></mirror></mirrors>" +
		"<servers><server><id>mirror</id><username>" + html.EscapeString(user) + "</username><password>" + html.EscapeString(password) + "</password></server></servers></settings>\n"
}

func gradleInit(at, user, password string) string {
	repo := "maven { url = '" + at + "'; if (org.gradle.util.GradleVersion.current() >= org.gradle.util.GradleVersion.version('6.0')) allowInsecureProtocol = true"
	if user != "" {
		repo += "; credentials { username = '" + groovy(user) + "'; password = '" + groovy(password) + "' }"
	}
	repo += " }"
	return "settingsEvaluated { s -> s.pluginManagement.repositories { clear(); " + repo + " } }\n" +
		"allprojects { buildscript.repositories { " + repo + " }; repositories { " + repo + " } }\n"
}

func groovy(s string) string { return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) }

func composerFiles(at, user, password string, login bool) []file {
	repositories := map[string]any{"repositories": []any{map[string]any{"type": "composer", "url": at}, map[string]bool{"packagist.org": false}},
		"config": map[string]any{"secure-http": strings.HasPrefix(at, "https:")}}
	text, _ := json.Marshal(repositories) // maps of plain values
	out := []file{{composerHome + "/config.json", string(text)}}
	if u, err := url.Parse(at); err == nil && login {
		auth, _ := json.Marshal(map[string]any{"http-basic": map[string]any{u.Host: map[string]string{"username": user, "password": password}}})
		out = append(out, file{composerHome + "/auth.json", string(auth)})
	}
	return out
}

func cargoText(at, user, password string, login bool) string {
	s := "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"" + at + "/\"\n"
	if login {
		token, _ := json.Marshal("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		s += "[registry]\nglobal-credential-providers = [\"cargo:token\"]\n[registries.mirror]\nindex = \"" + at + "/\"\ntoken = " + string(token) + "\n"
	}
	return s
}

func nugetText(at, user, password string, login bool) string {
	s := "<configuration><packageSources><clear/><add key=\"mirror\" value=\"" + html.EscapeString(at) + "\" allowInsecureConnections=\"true\"/></packageSources>"
	if login {
		s += "<packageSourceCredentials><mirror><add key=\"Username\" value=\"" + html.EscapeString(user) +
			"\"/><add key=\"ClearTextPassword\" value=\"" + html.EscapeString(password) + "\"/></mirror></packageSourceCredentials>"
	}
	return s + "</configuration>\n"
}

// mirrorNames are set by steps and not taken from an app's config.
func mirrorNames(m build.Mirrors) (out []string) {
	for name := range m {
		for _, v := range variables(m, name) {
			out = append(out, v.name)
		}
	}
	slices.Sort(out)
	return out
}
