package pack

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/steadpaas/stead"
)

// What cannot be built is refused with what is wrong and what to do, before
// anything is fetched.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"Ruby not to be had":     {files("Gemfile", "ruby '3.2.2'\n", "config.ru", ""), "the versions are 3.1, 3.3"},
		"Ruby without a start":   {files("Gemfile", ""), "nothing says how to start"},
		"PHP not to be had":      {files("composer.json", `{"require":{"php":"^7.4"}}`, "index.php", ""), "the versions are 8.2, 8.4"},
		"composer.json broken":   {files("composer.json", "{", "index.php", ""), "composer validate"},
		"Java not to be had":     {files("pom.xml", "<project/>", "system.properties", "java.runtime.version=1.8\n"), "the versions are 17, 21, 25"},
		"several jars":           {files("a.jar", "", "b.jar", ""), "several jars and wars"},
		"Rust nightly":           {files("Cargo.toml", "[package]\nname='x'\n", "src/main.rs", "", "rust-toolchain", "nightly\n"), "nightly and beta are not"},
		"Rust library":           {files("Cargo.toml", "[package]\nname='x'\n", "src/lib.rs", ""), "no program to run"},
		"Rust name of a flag":    {files("Cargo.toml", "[[bin]]\nname='--evil'\n"), "not a name for a program"},
		"Elixir not to be had":   {files("mix.exs", "app: :x,\nelixir: \"~> 1.19\",\n"), "the versions are 1.14, 1.18"},
		"umbrella":               {files("mix.exs", "apps_path: \"apps\",\n"), "umbrella project without a release"},
		".NET not to be had":     {files("x.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net7.0</TargetFramework></PropertyGroup></Project>`), "the versions are 8.0, 9.0"},
		".NET Framework":         {files("x.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net48</TargetFramework></PropertyGroup></Project>`), "does not run on Linux"},
		"several .NET programs":  {files("x.sln", "", "a/a.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"/>`, "b/b.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"/>`), "several .NET programs"},
		"site that is not there": {files("static.json", `{"root":"dist/"}`), "there is no index.html"},
		"site outside":           {files("static.json", `{"root":"../etc"}`), "not a directory of the source"},
		"Node not to be had":     {files("package.json", `{"engines":{"node":"19.x"}}`, "index.js", ""), "no known Node.js release"},
	} {
		_, err := Detect(c.tree)
		e, ok := err.(*stead.Error)
		if !ok || e.Kind != stead.KindInvalid || e.Hint == "" || !strings.Contains(e.Msg+" "+e.Hint, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What else fits, and what was read differently than written, is said.
func TestNotes(t *testing.T) {
	for want, tree := range map[string]fstest.MapFS{
		"there is also package.json (node); go is":                              files("go.mod", "module x\n", "main.go", "package main\n", "package.json", "{}"),
		`if Bundler refuses it, write ruby "~> 3.1.0"`:                          files("Gemfile", "ruby '3.1.4'\n", "config.ru", ""),
		"rust-toolchain asks for Rust 1.70.0":                                   files("Cargo.toml", "[package]\nname='x'\n", "Cargo.lock", "", "src/main.rs", "", "rust-toolchain", "1.70.0\n"),
		"static.json: headers is not honoured":                                  files("static.json", `{"headers":{"/":{"a":"b"}}}`, "index.html", ""),
		"there is no composer.lock":                                             files("composer.json", `{"require":{"a/b":"1"}}`, "index.php", ""),
		"poetry.lock is not used: packages are installed from requirements.txt": files("requirements.txt", "", "app.py", "", "poetry.lock", ""),
	} {
		d, err := Detect(tree)
		if err != nil || !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note %q: %v %v", want, d, err)
		}
	}
}
