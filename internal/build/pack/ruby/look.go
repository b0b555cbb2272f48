package ruby

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// app is a detected app.
type app struct {
	line   plan.Line
	asked  plan.Asked
	names  []string // of the locked gems
	lists  []string // files that installing depends on
	bundle bool     // there is a Gemfile
	lock   bool
	whole  bool // installing needs the whole tree
	rails  bool
	rack   bool
	assets bool
	node   *node.Tool // for assets; nil: none
	notes  []string
}

func (a *app) has(gem string) bool { return slices.Contains(a.names, gem) }

// server reports whether the app brings a web server of its own.
func (a *app) server() bool {
	return slices.ContainsFunc([]string{"puma", "unicorn", "thin", "falcon", "passenger", "webrick"}, a.has)
}

// look returns nil when the tree is not a Ruby app.
func look(tree fs.FS) (*app, error) {
	a := &app{bundle: plan.Has(tree, "Gemfile"), rack: plan.Has(tree, "config.ru")}
	if !a.bundle && !a.rack {
		return nil, nil
	}
	gemfile, _, err := plan.ReadFile(tree, "Gemfile")
	if err != nil {
		return nil, err
	}
	locked, ok, err := plan.ReadFile(tree, "Gemfile.lock")
	if err != nil {
		return nil, err
	}
	a.lock = ok
	a.readLock(locked, gemfile)
	if err := a.version(tree, string(gemfile), string(locked)); err != nil {
		return nil, err
	}
	a.rails = plan.Has(tree, "config/application.rb") && (a.has("railties") || a.has("rails"))
	a.assets = a.rails && (plan.HasDir(tree, "app/assets") || plan.HasDir(tree, "app/javascript")) && !plan.Has(tree, "public/assets/manifest.json")
	for _, f := range []string{"Gemfile", "Gemfile.lock", ".ruby-version", ".tool-versions"} {
		if plan.Has(tree, f) {
			a.lists = append(a.lists, f)
		}
	}
	if plan.HasDir(tree, "vendor/cache") {
		a.lists = append(a.lists, "vendor/cache")
	}
	a.whole = a.whole || evaluated.Match(gemfile)
	if a.bundle && !a.lock && len(a.names) > 0 {
		a.notes = append(a.notes, "there is no Gemfile.lock: two builds of the same source may install different versions; run \"bundle lock\" and commit it")
	}
	return a, nil
}

// evaluated is a Gemfile that reads other files of the tree.
var evaluated = regexp.MustCompile(`(?m)^\s*(eval_gemfile|gemspec)\b|\bpath:|:path\s*=>`)

var (
	lockedGem  = regexp.MustCompile(`(?m)^    ([A-Za-z0-9._-]{1,100}) \(`)
	gemfileGem = regexp.MustCompile(`(?m)^\s*gem\s*\(?\s*["']([A-Za-z0-9._-]{1,100})["']`)
)

// readLock lists the gems; without a lock file, those that the Gemfile names.
func (a *app) readLock(locked, gemfile []byte) {
	found := lockedGem.FindAllSubmatch(locked, 5000)
	if !a.lock {
		found = gemfileGem.FindAllSubmatch(gemfile, 5000)
	}
	for _, m := range found {
		a.names = append(a.names, string(m[1]))
	}
	a.whole = strings.Contains(string(locked), "\nPATH\n") || strings.HasPrefix(string(locked), "PATH\n")
}

var (
	rubyLine   = regexp.MustCompile(`(?m)^\s*ruby\s*\(?\s*((?:["'][^"'\n]{1,40}["']\s*,?\s*)+)`)
	rubyWord   = regexp.MustCompile(`["']([^"'\n]+)["']`)
	rubyLocked = regexp.MustCompile(`(?m)^RUBY VERSION\s+ruby ([0-9][0-9.]*)`)
	exactPatch = regexp.MustCompile(`^=?\s*[0-9]+\.[0-9]+\.[0-9]+$`)
)

// version reads the Gemfile, else .ruby-version, else .tool-versions, else
// Gemfile.lock.
func (a *app) version(tree fs.FS, gemfile, locked string) (err error) {
	if m := rubyLine.FindStringSubmatch(gemfile); m != nil {
		var words []string
		for _, w := range rubyWord.FindAllStringSubmatch(m[1], 5) {
			words = append(words, w[1])
		}
		a.asked = plan.Asked{Version: strings.Join(words, ", "), From: "Gemfile"}
	} else if a.asked, err = plan.AskedIn(tree, []string{".ruby-version"}, []string{"ruby"}, "ruby-"); err != nil {
		return err
	}
	if m := rubyLocked.FindStringSubmatch(locked); m != nil && a.asked.Version == "" {
		a.asked = plan.Asked{Version: "~> " + m[1], From: "Gemfile.lock"}
	}
	if a.line, err = plan.Choose("Ruby", lines, a.asked); err != nil {
		return err
	}
	if exactPatch.MatchString(a.asked.Version) {
		note := a.asked.From + " asks for Ruby " + plan.Plain(a.asked.Version) + "; what runs is the patch release of Ruby " + a.line.Version + " that Debian keeps"
		if a.asked.From == "Gemfile" {
			note += ": if Bundler refuses it, write ruby \"~> " + a.line.Version + ".0\""
		}
		a.notes = append(a.notes, note)
	}
	return nil
}

// start tells the web process. Nothing in it comes from the tree.
func (a *app) start(tree fs.FS) stead.Command {
	script := plan.First(tree, "app.rb", "server.rb", "main.rb")
	switch {
	case (a.rails || a.rack) && a.has("puma") && plan.Has(tree, "config/puma.rb"):
		return stead.Command{"bundle", "exec", "puma", "-C", "config/puma.rb"}
	case a.rails:
		return stead.Shell(`exec bundle exec rails server -b 0.0.0.0 -p "$PORT" -e "${RAILS_ENV:-production}"`)
	case a.rack && a.has("puma"):
		return stead.Shell(`exec bundle exec puma -b "tcp://0.0.0.0:$PORT"`)
	case a.rack && a.server():
		return stead.Shell(`exec bundle exec rackup -o 0.0.0.0 -p "$PORT"`)
	case a.rack:
		return stead.Shell(`exec ruby -rnio -S puma -b "tcp://0.0.0.0:$PORT"`) // nio first: an app that loads its bundle hides what is not in it
	case script != "" && a.bundle:
		return stead.Command{"bundle", "exec", "ruby", script}
	}
	return nil
}

// library says which packages of Debian a gem with native code needs.
type library struct{ build, run string }

var libraries = map[string]library{
	"mysql2":    {"default-libmysqlclient-dev", "libmariadb3"},
	"ruby-vips": {"", "libvips42"},
	"rmagick":   {"libmagickwand-dev", "imagemagick"},
	"ruby-odbc": {"unixodbc-dev", "unixodbc"},
	"tiny_tds":  {"freetds-dev", "libct4"},
}

func (a *app) buildLibraries() (out []string) {
	for _, n := range a.names {
		if l := libraries[n].build; l != "" && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

func (a *app) runLibraries() (out []string) {
	for _, n := range a.names {
		if l := libraries[n].run; l != "" && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}
