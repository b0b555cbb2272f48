// Package mirror finds out which package mirrors the host itself is configured
// to use, so that builds fetch from there and an operator need not say it twice.
package mirror

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead/internal/build"
)

// Host reads the settings of the host's own tools: first the environment, then
// the files of root, then those of the system. root is the host's file system
// ("/" of it is "."); what cannot be read or is no mirror is left out. Debian's
// mirror is not among them: base images have the host's own apt sources.
func Host(root fs.FS, getenv func(string) string) build.Mirrors {
	h := host{root, getenv}
	found := build.Mirrors{
		build.MirrorNPM:       first(getenv("npm_config_registry"), getenv("NPM_CONFIG_REGISTRY"), h.line("root/.npmrc", "registry"), h.line("etc/npmrc", "registry")),
		build.MirrorGo:        first(getenv("GOPROXY"), h.line("root/.config/go/env", "GOPROXY"), h.line("usr/local/go/go.env", "GOPROXY")),
		build.MirrorGoSum:     first(getenv("GOSUMDB"), h.line("root/.config/go/env", "GOSUMDB")),
		build.MirrorPyPI:      first(getenv("PIP_INDEX_URL"), h.line("root/.config/pip/pip.conf", "index-url"), h.line("root/.pip/pip.conf", "index-url"), h.line("etc/pip.conf", "index-url")),
		build.MirrorRubyGems:  first(getenv("BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/"), h.yaml("root/.bundle/config", "BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/"), h.gemrc()),
		build.MirrorMaven:     h.maven(),
		build.MirrorPackagist: h.composer(),
		build.MirrorCrates:    h.cargo(),
		build.MirrorNuGet:     h.nuget(),
		build.MirrorHex:       first(getenv("HEX_MIRROR"), getenv("HEX_MIRROR_URL")),
	}
	for name, value := range found {
		if m, err := build.ParseMirrors(name + "=" + value); err != nil || len(m) != 1 || public(value) {
			delete(found, name)
		}
	}
	return found
}

// public reports what the tools ask without being told.
func public(value string) bool {
	switch strings.TrimRight(value, "/") {
	case "https://registry.npmjs.org", "https://proxy.golang.org,direct", "https://pypi.org/simple", "https://rubygems.org",
		"https://repo.maven.apache.org/maven2", "https://api.nuget.org/v3/index.json", "https://repo.hex.pm", "sum.golang.org":
		return true
	}
	return false
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

type host struct {
	root   fs.FS
	getenv func(string) string
}

func (h host) read(name string) []byte {
	data, err := fs.ReadFile(h.root, name)
	if err != nil || len(data) > 1<<20 {
		return nil
	}
	return data
}

// line reads "key = value" of an ini-like file, whatever the section.
func (h host) line(file, key string) string {
	for in := bufio.NewScanner(bytes.NewReader(h.read(file))); in.Scan(); {
		k, v, ok := strings.Cut(in.Text(), "=")
		if ok && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}

// yaml reads `KEY: "value"` of a flat file.
func (h host) yaml(file, key string) string {
	for in := bufio.NewScanner(bytes.NewReader(h.read(file))); in.Scan(); {
		if v, ok := strings.CutPrefix(strings.TrimSpace(in.Text()), key+":"); ok {
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}

// gemrc is the first source of RubyGems' settings, a YAML list.
func (h host) gemrc() string {
	for _, file := range []string{"root/.gemrc", "etc/gemrc"} {
		in := bufio.NewScanner(bytes.NewReader(h.read(file)))
		for inside := false; in.Scan(); {
			text := strings.TrimSpace(in.Text())
			if v, ok := strings.CutPrefix(text, "- "); ok && inside {
				return strings.Trim(v, `"' `)
			}
			inside = strings.HasPrefix(text, ":sources:") || strings.HasPrefix(text, "sources:")
		}
	}
	return ""
}

// maven is a mirror of everything, or of Maven Central, in settings.xml.
func (h host) maven() string {
	for _, file := range []string{"root/.m2/settings.xml", "etc/maven/settings.xml"} {
		var s struct {
			Mirrors []struct {
				Of  string `xml:"mirrorOf"`
				URL string `xml:"url"`
			} `xml:"mirrors>mirror"`
		}
		if xml.Unmarshal(h.read(file), &s) != nil {
			continue
		}
		for _, m := range s.Mirrors {
			if of := strings.TrimSpace(m.Of); of == "central" || strings.HasPrefix(of, "*") || strings.HasPrefix(of, "external:") {
				return strings.TrimSpace(m.URL)
			}
		}
	}
	return ""
}

func (h host) composer() string {
	for _, file := range []string{"root/.config/composer/config.json", "root/.composer/config.json"} {
		var s struct {
			Repositories json.RawMessage `json:"repositories"`
		}
		if json.Unmarshal(h.read(file), &s) != nil {
			continue
		}
		type repository struct{ Type, URL string }
		var named map[string]json.RawMessage
		var listed []json.RawMessage
		if json.Unmarshal(s.Repositories, &named) == nil {
			listed = []json.RawMessage{named["packagist.org"], named["packagist"]}
		} else {
			_ = json.Unmarshal(s.Repositories, &listed)
		}
		for _, raw := range listed {
			var r repository
			if json.Unmarshal(raw, &r) == nil && r.Type == "composer" && r.URL != "" {
				return r.URL
			}
		}
	}
	return ""
}

func (h host) cargo() string {
	for _, file := range []string{"root/.cargo/config.toml", "root/.cargo/config"} {
		var s struct {
			Source map[string]struct {
				ReplaceWith string `toml:"replace-with"`
				Registry    string `toml:"registry"`
			} `toml:"source"`
		}
		if toml.Unmarshal(h.read(file), &s) != nil {
			continue
		}
		at := s.Source["crates-io"]
		for range 4 { // one may replace another
			if at.ReplaceWith == "" {
				return at.Registry
			}
			at = s.Source[at.ReplaceWith]
		}
	}
	return ""
}

func (h host) nuget() string {
	var s struct {
		Sources []struct {
			Value string `xml:"value,attr"`
		} `xml:"packageSources>add"`
	}
	if xml.Unmarshal(h.read("root/.nuget/NuGet/NuGet.Config"), &s) != nil || len(s.Sources) != 1 {
		return ""
	}
	return s.Sources[0].Value
}
