package dotnet

import (
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// app is a detected app.
type app struct {
	line     release
	from     string
	project  string // path of the project file
	assembly string
	web      bool
	notes    []string
}

// project is what matters of a project file.
type project struct {
	SDK    string `xml:"Sdk,attr"`
	Groups []struct {
		Framework  string `xml:"TargetFramework"`
		Frameworks string `xml:"TargetFrameworks"`
		Assembly   string `xml:"AssemblyName"`
		Output     string `xml:"OutputType"`
	} `xml:"PropertyGroup"`
}

var (
	pathGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9 ._-]*(/[A-Za-z0-9_][A-Za-z0-9 ._-]*)*\.(cs|fs|vb)proj$`)
	nameGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
	framework   = regexp.MustCompile(`^net([0-9]{1,2}\.[0-9])\b`)
	old         = regexp.MustCompile(`^(net[1-4][0-9]{0,2}|netcoreapp|netstandard)`)
	sdkGrammar  = regexp.MustCompile(`^[0-9]{1,2}\.0\.[0-9]{3}$`)
)

const maxProjects = 100

// candidates are the project files: those at the root, else those below a
// solution at the root, one or two levels down.
func candidates(tree fs.FS) (out []string) {
	patterns := []string{"*proj"}
	if found, _ := fs.Glob(tree, "*.sln"); len(found) > 0 {
		patterns = []string{"*proj", "*/*proj", "*/*/*proj"}
	}
	for _, p := range patterns {
		found, _ := fs.Glob(tree, p)
		for _, f := range found {
			if pathGrammar.MatchString(f) && len(out) < maxProjects && plan.Has(tree, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// look returns nil when the tree is not .NET.
func look(tree fs.FS) (*app, error) {
	files := candidates(tree)
	if len(files) == 0 {
		return nil, nil
	}
	var apps, webs []*app
	for _, f := range files {
		a, asked, err := readProject(tree, f)
		if err != nil {
			return nil, err
		}
		if a == nil {
			continue
		}
		if a.line, err = choose(asked, globalSDK(tree, asked.Version)); err != nil {
			return nil, err
		}
		if apps = append(apps, a); a.web {
			webs = append(webs, a)
		}
	}
	switch {
	case len(webs) == 1:
		return webs[0], nil
	case len(webs) == 0 && len(apps) == 1:
		return apps[0], nil
	case len(apps) == 0:
		return nil, stead.Invalid("source", "there are .NET projects, and none is a program", "push a project with Sdk=\"Microsoft.NET.Sdk.Web\" or OutputType Exe")
	}
	names := []string{}
	for _, a := range apps {
		names = append(names, plan.Plain(a.project))
	}
	return nil, stead.Invalid("source", "there are several .NET programs: "+plan.Plain(strings.Join(names, ", ")), "push the folder of one of them, or use a Dockerfile")
}

// readProject returns nil for a library or tests.
func readProject(tree fs.FS, file string) (*app, plan.Asked, error) {
	data, _, err := plan.ReadFile(tree, file)
	if err != nil {
		return nil, plan.Asked{}, err
	}
	var p project
	if err := xml.Unmarshal(data, &p); err != nil {
		return nil, plan.Asked{}, stead.Invalid(plan.Plain(file), plan.Plain(file)+" cannot be parsed: "+plan.Plain(err.Error()), "check it with \"dotnet build\"")
	}
	base := path.Base(file)
	a := &app{project: file, from: base, assembly: strings.TrimSuffix(base, path.Ext(base)), web: strings.EqualFold(p.SDK, "Microsoft.NET.Sdk.Web")}
	target, exe := "", a.web || strings.EqualFold(p.SDK, "Microsoft.NET.Sdk.Worker")
	for _, g := range p.Groups {
		if g.Framework != "" {
			target = g.Framework
		} else if g.Frameworks != "" {
			target, _, _ = strings.Cut(g.Frameworks, ";")
		}
		if g.Assembly != "" && nameGrammar.MatchString(g.Assembly) {
			a.assembly = g.Assembly
		}
		exe = exe || strings.EqualFold(g.Output, "Exe")
	}
	if !exe || !nameGrammar.MatchString(a.assembly) {
		return nil, plan.Asked{}, nil
	}
	m := framework.FindStringSubmatch(strings.TrimSpace(target))
	if m == nil && old.MatchString(target) {
		return nil, plan.Asked{}, stead.Invalid(base, plan.Plain(base)+" is for "+plan.Plain(target)+", which does not run on Linux or is no longer kept up", "target net8.0 or later, or use a Dockerfile")
	}
	if m == nil {
		return a, plan.Asked{Version: releases[0].framework, From: base}, nil
	}
	return a, plan.Asked{Version: m[1], From: base}, nil
}

// globalSDK is the version of global.json, if it is of the framework's line.
func globalSDK(tree fs.FS, framework string) string {
	data, _, err := plan.ReadFile(tree, "global.json")
	var g struct {
		SDK struct {
			Version string `json:"version"`
		} `json:"sdk"`
	}
	if err != nil || json.Unmarshal(data, &g) != nil || !sdkGrammar.MatchString(g.SDK.Version) || !strings.HasPrefix(g.SDK.Version, framework+".") {
		return ""
	}
	return g.SDK.Version
}
