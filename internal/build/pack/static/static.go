// Package static serves a tree of files. The server is a small Go program that
// the build compiles once.
package static

import (
	_ "embed"
	"encoding/json"
	"io/fs"
	"path"
	"regexp"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/golang"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

//go:embed server/main.go
var server []byte

// Pack is the pack "static".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "static" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"index.html", "static.json"} }

// places are where site generators put what they make.
var places = []string{".", "public", "dist", "build", "_site", "site", "out", "public_html", "www", "docs/_build/html"}

// Detect implements plan.Pack: index.html at the root or in one of the places,
// or where static.json says.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	s, err := readSettings(tree)
	if err != nil {
		return nil, err
	}
	look := places
	if s.Root != "" {
		look = []string{s.Root}
	}
	for _, dir := range look {
		if !plan.Has(tree, path.Join(dir, "index.html")) {
			continue
		}
		summary := "static files"
		if dir != "." {
			summary += " in " + dir
		}
		spa := s.spa() || routed(tree, dir)
		if spa {
			summary += ", unknown paths get index.html"
		}
		return &plan.Detected{Pack: "static", Summary: summary, Notes: s.notes(), Processes: map[string]stead.Command{"web": Command(spa, s.errorPage())},
			LLB: func(in plan.Inputs) (plan.Output, error) { return Image(in, in.Source, path.Join("/", dir)) }}, nil
	}
	if s.Root != "" {
		return nil, stead.Invalid("static.json", "static.json says that the site is in "+plan.Plain(s.Root)+", and there is no index.html",
			"commit what the site's generator makes, or change \"root\"")
	}
	return nil, nil
}

// routed reports whether the site says, in the ways of Netlify and Surge, that
// its page does the routing.
func routed(tree fs.FS, dir string) bool {
	data, _, err := plan.ReadFile(tree, path.Join(dir, "_redirects"))
	return plan.Has(tree, path.Join(dir, "200.html")) || err == nil && catchAll.Match(data)
}

var catchAll = regexp.MustCompile(`(?m)^/\*\s+/index\.html\s+200\b`)

// settings are those of Heroku's static buildpack.
type settings struct {
	Root      string            `json:"root"`
	Routes    map[string]string `json:"routes"`
	Error     string            `json:"error_page"`
	HTTPS     bool              `json:"https_only"`
	Redirects map[string]any    `json:"redirects"`
	Headers   map[string]any    `json:"headers"`
	Proxies   map[string]any    `json:"proxies"`
}

var dirGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)

func readSettings(tree fs.FS) (settings, error) {
	var s settings
	data, ok, err := plan.ReadFile(tree, "static.json")
	if err != nil || !ok {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, stead.Invalid("static.json", "static.json cannot be parsed: "+plan.Plain(err.Error()), "check its JSON")
	}
	if s.Root = path.Clean(s.Root); s.Root != "." && !dirGrammar.MatchString(s.Root) {
		return s, stead.Invalid("static.json", "the root in static.json is not a directory of the source", "write for example \"root\": \"dist/\"")
	}
	return s, nil
}

func (s settings) spa() bool {
	return s.Routes["/**"] == "index.html" || s.Routes["/**"] == "/index.html"
}

func (s settings) errorPage() string {
	if p := path.Clean(s.Error); s.Error != "" && dirGrammar.MatchString(p) {
		return p
	}
	return ""
}

func (s settings) notes() (out []string) {
	for _, n := range []struct {
		name string
		set  bool
	}{{"https_only", s.HTTPS}, {"redirects", len(s.Redirects) > 0}, {"headers", len(s.Headers) > 0}, {"proxies", len(s.Proxies) > 0},
		{"routes", len(s.Routes) > 0 && (!s.spa() || len(s.Routes) > 1)}} {
		if n.set {
			out = append(out, "static.json: "+n.name+" is not honoured (of routes, \"/**\": \"index.html\" is)")
		}
	}
	return out
}

// Where the server and what it serves are in the image.
const (
	Server = "/opt/stead/serve"
	Dir    = "/app"
)

// Command serves Dir. With spa, a path that is no file gets index.html; page
// is the body of "not found", 404.html if it is "".
func Command(spa bool, page string) stead.Command {
	c := stead.Command{Server}
	if spa {
		c = append(c, "-spa")
	}
	if page != "" {
		c = append(c, "-404", page)
	}
	return append(c, Dir)
}

// Image is a directory of a state with the server.
func Image(in plan.Inputs, from llb.State, dir string) (plan.Output, error) {
	bin, err := Program(in)
	if err != nil {
		return plan.Output{}, err
	}
	st := plan.Copy(in.Run, bin, "/", path.Dir(Server), "copy the file server")
	st = plan.CopyApp(st, from, dir, Dir, "copy the files", ".git", ".gitignore", ".steadignore", "Procfile", "static.json")
	return plan.Output{State: st, Config: plan.Image([]string{path.Dir(Server)})}, nil
}

// Program compiles the server, as /serve.
func Program(in plan.Inputs) (llb.State, error) {
	src := llb.Scratch().File(llb.Mkfile("/go.mod", 0o644, []byte("module serve\n\ngo 1.26\n")).
		Mkfile("/main.go", 0o644, server), llb.WithCustomName("file server"))
	in.BuildEnv, in.CacheScope = nil, "stead-static" // it is the same for all apps
	return golang.Build(in, src, golang.Default, ".")
}
