package buildkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// versions are the examples in the other versions that packs offer, and in the
// other shapes that they know.
var versions = map[string]struct {
	example string
	remove  []string
	add     map[string]string
	want    string
}{
	"python-3.13":  {"python", nil, map[string]string{".python-version": "3.13\n"}, "Python 3.13"},
	"ruby-3.3":     {"ruby", []string{"Gemfile"}, map[string]string{"Gemfile": "source \"https://rubygems.org\"\nruby \"~> 3.3.0\"\n"}, "Ruby 3.3"},
	"php-apache":   {"php", nil, map[string]string{"public/.htaccess": apacheRules}, "PHP 8.2"},
	"php-8.4":      {"php", []string{"composer.json"}, map[string]string{"composer.json": composer("^8.4"), "public/.htaccess": apacheRules}, "PHP 8.4"},
	"java-21":      {"java", nil, map[string]string{"system.properties": "java.runtime.version=21\n"}, "Java 21"},
	"java-25":      {"java", nil, map[string]string{"system.properties": "java.runtime.version=25\n"}, "Java 25"},
	"war-jetty":    {"", nil, map[string]string{"build.gradle": "apply plugin: 'war'\n", "settings.gradle": "rootProject.name='w'\n", "src/main/webapp/index.jsp": "Hello from <%= 40+2 %>\n"}, "42"},
	"war-tomcat":   {"", nil, map[string]string{"build.gradle": "apply plugin: 'war'\n// jakarta.servlet\n", "settings.gradle": "rootProject.name='w'\n", "src/main/webapp/index.jsp": "Hello from <%= 40+2 %>\n"}, "42"},
	"php-procfile": {"php", nil, map[string]string{"Procfile": "web: vendor/bin/heroku-php-apache2 public/\n"}, "PHP 8.2"},
	"rust-1.63":    {"rust", nil, map[string]string{"rust-toolchain": "1.63\n"}, "Rust"},
	"rust-1.96":    {"rust", nil, map[string]string{"rust-toolchain": "1.90.0\n"}, "Rust"},
	"elixir-1.18":  {"elixir", nil, map[string]string{".tool-versions": "elixir 1.18.3-otp-27\n"}, "Elixir 1.18"},
}

const apacheRules = "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]\n"

func composer(php string) string {
	return `{"require": {"php": "` + php + `"}, "autoload": {"psr-4": {"Hello\\": "src/"}}}`
}

// TestVersions builds and asks an app in each version and shape. It fetches
// hundreds of megabytes, so it runs when STEAD_TEST_VERSIONS is a pattern of
// names to test, such as "*" or "php-*".
func TestVersions(t *testing.T) {
	pattern := os.Getenv("STEAD_TEST_VERSIONS")
	if pattern == "" {
		t.Skip("STEAD_TEST_VERSIONS is not set")
	}
	m := openWithRegistry(t, nil)
	for name, c := range versions {
		if ok, err := filepath.Match(pattern, name); err != nil || !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.example != "" {
				if err := os.CopyFS(dir, os.DirFS("../../../examples/"+c.example)); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range c.remove {
				if err := os.Remove(filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			write(t, dir, c.add)
			req, _ := request(t, stead.NewID(time.Now()), nil)
			req.Archive = tarball(t, dir)
			res, err := m.Build(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %.1f MiB, %v", res.Plan.Summary, float64(res.Image.Size)/(1<<20), res.Stages)
			if said := requested(t, m, res); !strings.Contains(said, c.want) {
				t.Errorf("%q is not in what the app answers", c.want)
			}
		})
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
