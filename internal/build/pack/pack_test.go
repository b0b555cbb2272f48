package pack

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
)

var update = flag.Bool("update", false, "write the golden files")

func inputs() Inputs {
	return Inputs{
		Source: llb.Local("source"), Run: llb.Image("stacks/debian-12"), Build: llb.Image("stacks/debian-12-build"),
		CacheScope: "app1", Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		Mirrors:  build.Mirrors{"npm": "http://npm.test/", "goproxy": "http://go.test,direct"},
		BuildEnv: stead.Config{"TOKEN": "do-not-show", "PATH": "do-not-show", "B": "do-not-show"},
	}
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// definition plans a tree.
func definition(t *testing.T, tree fs.FS) *llb.Definition {
	t.Helper()
	d, err := Detect(tree)
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.LLB(inputs())
	if err != nil {
		t.Fatal(err)
	}
	def, err := out.State.Marshal(context.Background(), llb.LinuxAmd64, llb.LocalUniqueID("test"))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// shape lists the steps of a plan: number, kind, name, and the numbers of the
// steps it depends on.
func shape(t *testing.T, def *llb.Definition) string {
	t.Helper()
	var b strings.Builder
	numbers := map[string]int{}
	for _, data := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(data); err != nil {
			t.Fatal(err)
		}
		dgst := digestOf(data)
		numbers[dgst] = len(numbers)
		var in []string
		for _, i := range op.Inputs {
			in = append(in, fmt.Sprint(numbers[i.Digest]))
		}
		if kind := describe(&op); kind != "" {
			fmt.Fprintf(&b, "%d %s ← %s\n", numbers[dgst], kind, strings.Join(in, " "))
		}
	}
	return b.String()
}

func describe(op *pb.Op) string {
	switch {
	case op.GetSource() != nil:
		return op.GetSource().Identifier
	case op.GetExec() != nil:
		return "run " + runLine(op.GetExec())
	case op.GetFile() != nil:
		return "file " + fileLine(op.GetFile())
	}
	return ""
}

func runLine(e *pb.ExecOp) string {
	args := slices.Clone(e.Meta.Args)
	for i, a := range args {
		if strings.Contains(a, "\n") {
			args[i] = "<script>"
		}
	}
	var mounts, secrets []string
	for _, m := range e.Mounts {
		s := m.Dest
		if m.CacheOpt != nil {
			s += "=" + m.CacheOpt.ID
		}
		mounts = append(mounts, s)
	}
	for _, s := range e.Secretenv {
		secrets = append(secrets, s.ID)
	}
	return fmt.Sprintf("%q user=%s mounts=%s secrets=%s", args, e.Meta.User, strings.Join(mounts, ","), strings.Join(secrets, ","))
}

func fileLine(f *pb.FileOp) string {
	var parts []string
	for _, a := range f.Actions {
		switch {
		case a.GetCopy() != nil:
			c := a.GetCopy()
			parts = append(parts, fmt.Sprintf("copy %s → %s include=%v exclude=%v owner=%v", c.Src, c.Dest, c.IncludePatterns, c.ExcludePatterns, c.Owner.GetUser().GetByID()))
		case a.GetMkfile() != nil:
			parts = append(parts, "mkfile "+a.GetMkfile().Path)
		case a.GetMkdir() != nil:
			parts = append(parts, "mkdir "+a.GetMkdir().Path)
		case a.GetSymlink() != nil:
			parts = append(parts, "symlink "+a.GetSymlink().Newpath)
		}
	}
	return strings.Join(parts, "; ")
}

// shapes are trees as they are found in the world, cut down to what decides.
var shapes = map[string]fstest.MapFS{
	"go":             files("go.mod", "module example.com/hello\n\ngo 1.26\n", "main.go", "package main\nfunc main(){}\n"),
	"go-workspace":   files("go.work", "go 1.26\n\nuse (\n\t./api\n\t./jobs\n)\n", "api/go.mod", "module api\n", "api/cmd/web/main.go", "package main\nfunc main(){}\n", "jobs/go.mod", "module jobs\n", "jobs/cmd/nightly/main.go", "package main\nfunc main(){}\n"),
	"node":           files("package.json", `{"dependencies":{"ms":"2"},"scripts":{"start":"node a.js"}}`, "package-lock.json", "{}", "a.js", ""),
	"node-workspace": files("package.json", `{"workspaces":["packages/*"],"scripts":{"start":"node packages/web/index.js","build":"npm run build -ws"}}`, "package-lock.json", "{}", "packages/web/package.json", "{}"),
	"yarn-berry":     files("package.json", `{"packageManager":"yarn@4.9.2","dependencies":{"ms":"2"},"scripts":{"start":"node a.js"}}`, "yarn.lock", "", ".yarnrc.yml", ""),
	"vite":           files("package.json", `{"devDependencies":{"vite":"5"},"scripts":{"start":"node a.js","build":"vite build"}}`, "pnpm-lock.yaml", ""),
	"vite-site":      files("package.json", `{"devDependencies":{"vite":"5"},"scripts":{"dev":"vite","build":"vite build"}}`, "package-lock.json", "{}", "index.html", ""),
	"python":         files("requirements.txt", "flask\n", "app.py", ""),
	"python-poetry":  files("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.13'\nflask = '^3.0'\n", "poetry.lock", "[[package]]\nname='flask'\nversion='3.0.3'\n", "app.py", ""),
	"django":         files("requirements.txt", "django\ngunicorn\n", "manage.py", "", "shop/wsgi.py", "", "shop/settings.py", "STATIC_ROOT = 1"),
	"wheels":         files("requirements.txt", "ms\n", "app.py", "", "wheels/ms.whl", ""),
	"static":         files("index.html", ""),
	"rails": files("Gemfile", "gem 'rails'\ngem 'pg'\ngem 'puma'\n", "Gemfile.lock", "GEM\n  specs:\n    pg (1.5)\n    puma (6.4)\n    rails (7.1)\n    railties (7.1)\n    sidekiq (7)\n\nRUBY VERSION\n   ruby 3.3.0p0\n",
		"config/application.rb", "", "config/puma.rb", "", "app/assets/a.css", "", "package.json", `{"scripts":{"build":"esbuild"}}`, "yarn.lock", "", "config.ru", ""),
	"sinatra": files("Gemfile", "gem 'sinatra'\n", "Gemfile.lock", "GEM\n  specs:\n    sinatra (4.0)\n", "config.ru", "", "vendor/cache/sinatra.gem", ""),
	"laravel": files("composer.json", `{"require":{"php":"^8.3","laravel/framework":"^11","ext-redis":"*"}}`, "composer.lock", `{"packages":[{"require":{"ext-gmp":"*"}}],"platform":[]}`,
		"public/index.php", "", "public/.htaccess", "", "package.json", `{"scripts":{"build":"vite build"},"devDependencies":{"vite":"5"}}`, "package-lock.json", "{}"),
	"wordpress": files("index.php", "", "wp-login.php", "", ".htaccess", ""),
	"symfony":   files("composer.json", `{"require":{"php":">=7.2"}}`, "web/index.php", "", "Procfile", "web: vendor/bin/heroku-php-nginx -C nginx.conf web/\n"),
	"spring":    files("pom.xml", "<project><properties><java.version>21</java.version></properties><artifactId>spring-boot-starter-parent</artifactId></project>", "mvnw", "", "src/main/java/A.java", ""),
	"gradle":    files("build.gradle", "plugins {\n id 'application'\n}\n", "settings.gradle", "", "gradlew", "", "gradle/wrapper/gradle-wrapper.properties", ""),
	"war":       files("pom.xml", "<project><packaging>war</packaging><groupId>jakarta.servlet</groupId></project>"),
	"jar":       files("app.jar", "", "system.properties", "java.runtime.version=25\n"),
	"rust":      files("Cargo.toml", "[package]\nname='api'\n", "Cargo.lock", "", "src/main.rs", "", "rust-toolchain.toml", "[toolchain]\nchannel='1.75.0'\n"),
	"rust-workspace": files("Cargo.toml", "[workspace]\nmembers=['crates/*']\n", "crates/web/Cargo.toml", "[package]\nname='web'\n", "crates/web/src/main.rs", "", "crates/lib/Cargo.toml", "[package]\nname='lib'\n",
		".cargo/config.toml", "[source.crates-io]\nreplace-with='vendored-sources'\n", "vendor/x/Cargo.toml", ""),
	"phoenix": files("mix.exs", "def project do\n[\n  app: :shop,\n  elixir: \"~> 1.14\",\n  aliases: [\"assets.deploy\": [\"phx.digest\"]]\n]\nend\ndefp deps do\n[\n  {:phoenix, \"~> 1.7\"}\n]\nend\n",
		"mix.lock", "", "assets/package.json", "{}", "lib/shop.ex", ""),
	"aspnet": files("hello.sln", "", "src/Web/Web.csproj", `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>`,
		"src/Lib/Lib.csproj", `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>`, "global.json", `{"sdk":{"version":"8.0.404"}}`),
}

// TestShapes pins what each pack's plan depends on: a layer that took in more
// than it should would be built anew on each push.
func TestShapes(t *testing.T) {
	for name, tree := range shapes {
		t.Run(name, func(t *testing.T) {
			def := definition(t, tree)
			for _, data := range def.Def {
				if bytes.Contains(data, []byte("do-not-show")) {
					t.Error("a config value is in the plan")
				}
			}
			golden(t, filepath.Join("testdata", name+".golden"), facts(t, tree)+shape(t, def))
		})
	}
}

// facts are what the pusher is told and what will run.
func facts(t *testing.T, tree fs.FS) string {
	t.Helper()
	d, err := Detect(tree)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", d.Pack, d.Summary)
	for _, name := range slices.Sorted(maps.Keys(d.Processes)) {
		fmt.Fprintf(&b, "%s: %q\n", name, d.Processes[name])
	}
	for _, n := range d.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update writes it): %s", file, diff)
	}
}

// TestSameTreeSamePlan marshals twice: a plan that varied would never be cached.
func TestSameTreeSamePlan(t *testing.T) {
	for name, tree := range shapes {
		a, b := definition(t, tree), definition(t, tree)
		if !slices.EqualFunc(a.Def, b.Def, bytes.Equal) {
			t.Errorf("%s: two plans of one tree differ", name)
		}
	}
}

func TestDetectOrderAndProcfile(t *testing.T) {
	for name, c := range map[string]struct {
		tree  fstest.MapFS
		pack  string
		procs map[string]stead.Command
	}{
		"Dockerfile first": {files("Dockerfile", "FROM x", "go.mod", "module x"), "dockerfile", map[string]stead.Command{"web": nil}},
		"Dockerfile and Procfile": {files("Dockerfile", "FROM x", "Procfile", "web: ./a $PORT\nworker: b"), "dockerfile",
			map[string]stead.Command{"web": stead.Shell("./a $PORT"), "worker": stead.Shell("b")}},
		"Go before Node":   {files("go.mod", "module x", "main.go", "package main", "package.json", "{}"), "go", map[string]stead.Command{"web": {"/app/bin/x"}}},
		"Procfile wins":    {files("go.mod", "module x", "main.go", "package main", "Procfile", "worker: x"), "go", map[string]stead.Command{"worker": stead.Shell("x")}},
		"release is added": {files("index.html", "", "Procfile", "release: x"), "static", map[string]stead.Command{"web": {"/opt/stead/serve", "/app"}, "release": stead.Shell("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Detect(c.tree)
			if err != nil {
				t.Fatal(err)
			}
			if d.Pack != c.pack {
				t.Errorf("pack %s, want %s", d.Pack, c.pack)
			}
			if diff := cmp.Diff(c.procs, d.Processes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothing(t *testing.T) {
	for _, tree := range []fs.FS{files(), files("Procfile", "web: x"), files("README", "x"), os.DirFS(t.TempDir())} {
		_, err := Detect(tree)
		if stead.KindOf(err) != stead.KindInvalid || err == nil || !strings.Contains(err.Error(), "there is no Dockerfile, *.csproj") {
			t.Error(err)
		}
	}
	_, err := Detect(files("web/package.json", "{}", "web/index.js", "", "services/api/go.mod", "module x", "services/api/main.go", "package main", "node_modules/x/package.json", "{}"))
	if e, ok := err.(*stead.Error); !ok || !strings.Contains(e.Hint, "web (node), services/api (go)") {
		t.Errorf("no word of the folders: %v", err)
	}
	if _, err := Detect(files("Procfile", "run: x", "index.html", "")); err == nil {
		t.Error("a bad Procfile was accepted")
	}
}

// TestLinksOut detects in a tree whose files are links to outside of it.
func TestLinksOut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "Procfile", "package.json", "index.html", "Dockerfile"} {
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d, err := Detect(root.FS())
	if err == nil || stead.KindOf(err) != stead.KindInvalid {
		t.Fatal(d, err)
	}
	if strings.Contains(err.Error(), "root:") {
		t.Error("the message shows a file of the host")
	}
}

func FuzzDetect(f *testing.F) {
	for name := range shapes {
		for file, m := range shapes[name] {
			f.Add(file, string(m.Data), "web: x\n")
		}
	}
	f.Fuzz(func(t *testing.T, name, data, procfile string) {
		if !fs.ValidPath(name) || name == "." || len(name) > 200 {
			t.Skip()
		}
		d, err := Detect(files(name, data, "Procfile", procfile))
		if err != nil || d.LLB == nil {
			return
		}
		out, err := d.LLB(inputs())
		if err != nil {
			return
		}
		if _, err := out.State.Marshal(context.Background(), llb.LinuxAmd64, llb.LocalUniqueID("test")); err != nil {
			t.Fatal(err)
		}
	})
}

func digestOf(data []byte) string { return digest.FromBytes(data).String() }
