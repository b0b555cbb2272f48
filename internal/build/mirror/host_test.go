package mirror

import (
	"maps"
	"testing"
	"testing/fstest"

	"github.com/steadpaas/stead/internal/build"
)

func TestHostSettingsAreFound(t *testing.T) {
	root := fstest.MapFS{}
	for name, text := range map[string]string{
		"root/.npmrc":                       "fund=false\nregistry = https://npm.corp/\n",
		"root/.config/go/env":               "GOPROXY=https://go.corp,direct\nGOSUMDB=off\n",
		"etc/pip.conf":                      "[global]\ncert = /x\nindex-url = https://u:p@pypi.corp/simple\n",
		"root/.gemrc":                       "---\n:sources:\n- https://gems.corp/\n",
		"root/.m2/settings.xml":             "<settings><mirrors><mirror><mirrorOf>x</mirrorOf><url>https://no</url></mirror><mirror><mirrorOf>*,!x</mirrorOf><url>https://maven.corp/m2</url></mirror></mirrors></settings>",
		"root/.config/composer/config.json": `{"repositories":[{"packagist.org":false},{"type":"composer","url":"https://php.corp"}]}`,
		"root/.cargo/config.toml":           "[source.crates-io]\nreplace-with='a'\n[source.a]\nregistry='sparse+https://crates.corp/index/'\n",
		"root/.nuget/NuGet/NuGet.Config":    `<configuration><packageSources><clear/><add key="c" value="https://nuget.corp/v3/index.json"/></packageSources></configuration>`,
	} {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	env := map[string]string{"HEX_MIRROR": "https://hex.corp"}
	got := Host(root, func(k string) string { return env[k] })
	want := build.Mirrors{"npm": "https://npm.corp/", "goproxy": "https://go.corp,direct", "gosumdb": "off", "pypi": "https://u:p@pypi.corp/simple",
		"rubygems": "https://gems.corp/", "maven": "https://maven.corp/m2", "packagist": "https://php.corp", "crates": "sparse+https://crates.corp/index/",
		"nuget": "https://nuget.corp/v3/index.json", "hex": "https://hex.corp"}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// What names no mirror, or the public one, and what is broken is left out.
func TestHostWithoutMirrors(t *testing.T) {
	root := fstest.MapFS{"root/.npmrc": {Data: []byte("registry=https://registry.npmjs.org/")}, "root/.m2/settings.xml": {Data: []byte("<settings")},
		"root/.cargo/config.toml": {Data: []byte("[source.crates-io]\nreplace-with='crates-io'")}, "etc/pip.conf": {Data: []byte("index-url = $(reboot)")}}
	if got := Host(root, func(string) string { return "" }); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestOperatorFirst checks what the operator says against the host's settings.
func TestOperatorFirst(t *testing.T) {
	m, err := build.ParseMirrors("npm=https://a:b@npm.op/x/ pypi=public docker.io=images.op quay.io=https://images.op/quay/")
	if err != nil {
		t.Fatal(err)
	}
	got := m.Over(build.Mirrors{"npm": "https://npm.corp", "pypi": "https://pypi.corp", "hex": "https://hex.corp"})
	if got["npm"] != "https://a:b@npm.op/x/" || got["pypi"] != "" || got["hex"] != "https://hex.corp" {
		t.Errorf("got %v", got)
	}
	if got.Bare("npm") != "https://npm.op/x" {
		t.Errorf("bare %s", got.Bare("npm"))
	}
	if r := got.Registries(); r["docker.io"] != "images.op" || r["quay.io"] != "images.op/quay" || len(r) != 2 {
		t.Errorf("registries %v", r)
	}
	for _, bad := range []string{"npm", "npm=", "nope=https://x", "npm=ftp://x", "npm=x", `maven=https://x/'`} {
		if _, err := build.ParseMirrors(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
