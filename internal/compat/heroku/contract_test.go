package heroku

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	_ "github.com/heroku/heroku-go/v6" // carries the schema
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write docs/heroku.md")

// link is one method and path of the published schema.
type link struct {
	Resource string
	Index    int
	Href     string `json:"href"`
	Method   string `json:"method"`
	Title    string `json:"title"`
	Rel      string `json:"rel"`
	Target   any    `json:"targetSchema"`
}

// published reads the schema that heroku-go carries, made usable for a
// validator, and its links by method and path.
func published(t *testing.T) (doc map[string]any, links map[string]link) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/heroku/heroku-go/v6").Output()
	check(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "schema.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &doc))
	plain(doc, true)
	relax(doc)
	links = map[string]link{}
	for name, d := range doc["definitions"].(map[string]any) {
		raw, err := json.Marshal(d.(map[string]any)["links"])
		check(t, err)
		var all []link
		check(t, json.Unmarshal(raw, &all))
		for i, l := range all {
			l.Resource, l.Index = name, i
			key := l.Method + " " + anonymous.ReplaceAllString(l.Href, "{}")
			if _, twice := links[key]; !twice || l.Resource < links[key].Resource {
				links[key] = l
			}
		}
	}
	return doc, links
}

var anonymous = regexp.MustCompile(`\{[^}]*\}`)

// plain removes the names of dialects that no validator knows.
func plain(v any, top bool) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["$schema"].(string); ok {
			delete(v, "$schema")
		}
		for _, e := range v {
			plain(e, false)
		}
	case []any:
		for _, e := range v {
			plain(e, false)
		}
	}
}

// waivers are constraints that only Heroku itself can meet: its own host names
// and cloud regions, names of at most 30 characters, and a host name that is
// said to be a URI.
var waivers = [][3]string{
	{"app", "git_url", "pattern"}, {"app", "web_url", "pattern"}, {"app", "name", "pattern"}, {"team-app", "git_url", "pattern"},
	{"domain", "hostname", "format"}, {"space", "name", "pattern"}, {"sni-endpoint", "name", "pattern"},
	{"sni-endpoint", "display_name", "pattern"}, {"pipeline", "name", "pattern"},
}

func relax(doc map[string]any) {
	for _, w := range waivers {
		d, _ := doc["definitions"].(map[string]any)[w[0]].(map[string]any)
		defs, _ := d["definitions"].(map[string]any)
		if def, ok := defs[w[1]].(map[string]any); ok {
			delete(def, w[2])
		}
	}
	region := doc["definitions"].(map[string]any)["region"].(map[string]any)["definitions"].(map[string]any)
	for _, v := range region["provider"].(map[string]any)["properties"].(map[string]any) {
		delete(v.(map[string]any), "enum")
	}
}

func compiler(t *testing.T, doc map[string]any) *jsonschema.Compiler {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.AssertFormat()
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(s, regexp2.ECMAScript)
		return lookahead{re}, err
	})
	check(t, c.AddResource("heroku.json", doc))
	return c
}

// lookahead is a regular expression as the schema writes them.
type lookahead struct{ *regexp2.Regexp }

func (l lookahead) MatchString(s string) bool {
	ok, err := l.Regexp.MatchString(s)
	return ok && err == nil
}

// schemaOf compiles what a link's answer must look like.
func schemaOf(t *testing.T, c *jsonschema.Compiler, l link) *jsonschema.Schema {
	t.Helper()
	at := "heroku.json#/definitions/" + l.Resource
	if l.Target != nil {
		at += "/links/" + itoa(l.Index) + "/targetSchema"
	}
	s, err := c.Compile(at)
	check(t, err)
	return s
}

// TestTable holds the table against the published schema: every pair is there,
// and nothing else but what is said to be extra.
func TestTable(t *testing.T) {
	_, links := published(t)
	have := map[string]bool{}
	for _, r := range routes() {
		key := r.Method + " " + anonymous.ReplaceAllString(r.Path, "{}")
		if have[key] {
			t.Errorf("%s is in the table twice", key)
		}
		have[key] = true
		if _, known := links[key]; known == r.extra {
			t.Errorf("%s %s: in the schema: %v, said to be extra: %v", r.Method, r.Path, known, r.extra)
		}
		if r.do == nil && r.why == "" {
			t.Errorf("%s %s is not offered, and nothing says why", r.Method, r.Path)
		}
	}
	for key, l := range links {
		if !have[key] {
			t.Errorf("the table lacks %s (%s: %s)", key, l.Resource, l.Title)
		}
	}
	if len(links) != 301 {
		t.Errorf("the schema has %d pairs, 301 were expected", len(links))
	}
}

// TestContract calls every pair, and holds each answer against its schema.
func TestContract(t *testing.T) {
	doc, links := published(t)
	c, w := compiler(t, doc), newWorld(t)
	shared := w.tenant(t)
	for _, r := range routes() {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			f := shared
			if r.Method != http.MethodGet && r.do != nil {
				f = w.tenant(t)
			}
			rec := w.ask(r, f, f.token)
			if r.do == nil {
				refused(t, rec, http.StatusNotFound, "not_offered")
				return
			}
			if r.none && rec.Code == http.StatusNotFound {
				refused(t, rec, http.StatusNotFound, "not_found")
				return
			}
			if rec.Code >= 300 {
				t.Fatalf("answered %d: %s", rec.Code, rec.Body)
			}
			for _, h := range []string{"Request-Id", "Content-Type"} {
				if rec.Header().Get(h) == "" {
					t.Errorf("the answer has no %s", h)
				}
			}
			l, known := links[r.Method+" "+anonymous.ReplaceAllString(r.Path, "{}")]
			if !known {
				return
			}
			var v any
			check(t, json.Unmarshal(rec.Body.Bytes(), &v))
			if err := schemaOf(t, c, l).Validate(v); err != nil {
				t.Errorf("%v\n%s", err, rec.Body)
			}
		})
	}
}

func refused(t *testing.T, rec *httptest.ResponseRecorder, status int, id string) {
	t.Helper()
	var f fault
	if err := json.Unmarshal(rec.Body.Bytes(), &f); err != nil || rec.Code != status || f.ID != id || f.Message == "" {
		t.Errorf("answered %d %s, want %d with id %q and a message", rec.Code, rec.Body, status, id)
	}
}

// TestDocument keeps docs/heroku.md the table's mirror.
func TestDocument(t *testing.T) {
	const file = "../../../docs/heroku.md"
	want := document()
	if *update {
		check(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	check(t, err)
	if string(got) != want {
		t.Error("docs/heroku.md does not say what the table says: go test ./internal/compat/heroku -run Document -update")
	}
}

func document() string {
	var offered, none, absent, extra []string
	for _, r := range routes() {
		row := "| `" + r.Method + " " + strings.ReplaceAll(r.Path, "|", "\\|") + "` | " + r.Title + " |"
		switch {
		case r.extra:
			extra = append(extra, row)
		case r.offered():
			offered = append(offered, row)
		case r.none:
			none = append(none, row)
		default:
			absent = append(absent, row+" "+r.why+" |")
		}
	}
	for _, l := range [][]string{offered, none, absent, extra} {
		slices.Sort(l)
	}
	n := func(l []string) string { return itoa(len(l)) }
	return "# Heroku's Platform API\n\n" +
		"Made by a test from the table of routes; it fails when this page is out of date. The API stands below `/heroku` on the\n" +
		"platform's API listener. Of the " + itoa(len(offered)+len(none)+len(absent)) + " pairs of method and path in Heroku's published schema:\n\n" +
		"- **" + n(offered) + " are offered**: they do what Heroku's do, and their answers fit the schema.\n" +
		"- **" + n(none) + " find nothing**: they read things that Stead has none of, and answer an empty list or `not_found`.\n" +
		"- **" + n(absent) + " are not offered**: they answer 404 with the id `not_offered` and the reason below.\n\n" +
		n(extra) + " more are spoken by the official CLI and are not in the schema.\n\n" +
		"What clients may rely on: ranges (`Range`, `Next-Range`, 206), `ETag` and `If-None-Match`, `Request-Id`,\n" +
		"`RateLimit-Remaining` (4500 calls an hour), names or ids wherever a thing is named, and Heroku's form of errors.\n\n" +
		"## Offered\n\n| | |\n|---|---|\n" + strings.Join(offered, "\n") + "\n\n" +
		"## Of the CLI alone\n\n| | |\n|---|---|\n" + strings.Join(extra, "\n") + "\n\n" +
		"## Find nothing\n\n| | |\n|---|---|\n" + strings.Join(none, "\n") + "\n\n" +
		"## Not offered\n\n| | | why |\n|---|---|---|\n" + strings.Join(absent, "\n") + "\n"
}
