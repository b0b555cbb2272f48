package rust

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// app is a detected app.
type app struct {
	line     plan.Line
	asked    plan.Asked
	name     string   // of the root's package
	bins     []string // programs
	locked   bool
	vendored bool
	release  bool // the Procfile speaks of target/release
	notes    []string
}

func (a *app) bin(name string) bool { return slices.Contains(a.bins, name) }

// Limits for a tree that may be hostile.
const (
	maxMembers = 100
	maxBins    = 50
)

var nameGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

// manifest is what matters of a Cargo.toml.
type manifest struct {
	Package struct {
		Name       string `toml:"name"`
		DefaultRun string `toml:"default-run"`
		Rust       any    `toml:"rust-version"`
	} `toml:"package"`
	Bin []struct {
		Name string `toml:"name"`
	} `toml:"bin"`
	Workspace struct {
		Members []string `toml:"members"`
	} `toml:"workspace"`
}

// look returns nil when the tree is not Rust.
func look(tree fs.FS) (*app, error) {
	m, err := readManifest(tree, ".")
	if err != nil || m == nil {
		return nil, err
	}
	a := &app{name: m.Package.Name, locked: plan.Has(tree, "Cargo.lock")}
	if m.Package.DefaultRun != "" {
		a.name = m.Package.DefaultRun
	}
	if err := a.programs(tree, ".", m); err != nil {
		return nil, err
	}
	for _, dir := range members(tree, m.Workspace.Members) {
		sub, err := readManifest(tree, dir)
		if err != nil {
			return nil, err
		}
		if sub != nil {
			if err := a.programs(tree, dir, sub); err != nil {
				return nil, err
			}
		}
	}
	if len(a.bins) == 0 {
		return nil, stead.Invalid("Cargo.toml", "there is no program to run: no src/main.rs, no src/bin and no [[bin]]",
			"push a package with a program, or the workspace that has one")
	}
	if err := a.version(tree, m); err != nil {
		return nil, err
	}
	config := plan.First(tree, ".cargo/config.toml", ".cargo/config")
	data, _, err := plan.ReadFile(tree, config)
	a.vendored = config != "" && err == nil && strings.Contains(string(data), "vendored-sources") && plan.HasDir(tree, "vendor")
	procfile, _, _ := plan.ReadFile(tree, "Procfile")
	a.release = strings.Contains(string(procfile), "target/release/")
	if !a.locked {
		a.notes = append(a.notes, "there is no Cargo.lock: two builds of the same source may compile different versions; commit it")
	}
	return a, nil
}

func readManifest(tree fs.FS, dir string) (*manifest, error) {
	name := path.Join(dir, "Cargo.toml")
	data, ok, err := plan.ReadFile(tree, name)
	if err != nil || !ok {
		return nil, err
	}
	m := &manifest{}
	if err := toml.Unmarshal(data, m); err != nil {
		return nil, &stead.Error{Kind: stead.KindInvalid, Field: plan.Plain(name), Msg: plan.Plain(name) + " cannot be parsed: " + plan.Plain(err.Error()),
			Hint: "check it with \"cargo check\""}
	}
	return m, nil
}

// members expands a workspace's patterns to directories of the tree.
func members(tree fs.FS, patterns []string) (out []string) {
	for _, p := range patterns {
		found, err := fs.Glob(tree, path.Clean(p))
		if err != nil {
			continue
		}
		for _, dir := range found {
			if len(out) < maxMembers && plan.Has(tree, path.Join(dir, "Cargo.toml")) {
				out = append(out, dir)
			}
		}
	}
	return out
}

// programs finds those of one package, as Cargo does.
func (a *app) programs(tree fs.FS, dir string, m *manifest) error {
	var names []string
	for _, b := range m.Bin {
		names = append(names, b.Name)
	}
	if plan.Has(tree, path.Join(dir, "src/main.rs")) && len(m.Bin) == 0 {
		names = append(names, m.Package.Name)
	}
	entries, _ := fs.ReadDir(tree, path.Join(dir, "src/bin"))
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".rs"); ok || e.IsDir() && plan.Has(tree, path.Join(dir, "src/bin", e.Name(), "main.rs")) {
			names = append(names, name)
		}
	}
	for _, n := range names {
		switch {
		case !nameGrammar.MatchString(n):
			return stead.Invalid("Cargo.toml", plan.Plain(n)+" is not a name for a program", "use letters, digits, - and _")
		case len(a.bins) >= maxBins:
			return stead.Invalid("Cargo.toml", "there are more than 50 programs", "push the packages that this app needs")
		case !slices.Contains(a.bins, n):
			a.bins = append(a.bins, n)
		}
	}
	return nil
}

// version reads rust-toolchain.toml, rust-toolchain, .tool-versions, and else
// rust-version of Cargo.toml. A later Rust compiles what is meant for an
// earlier one, so what is asked for is a least version.
func (a *app) version(tree fs.FS, m *manifest) (err error) {
	if a.asked, err = toolchain(tree); err != nil {
		return err
	}
	if v, ok := m.Package.Rust.(string); ok && a.asked.Version == "" {
		a.asked = plan.Asked{Version: v, From: "Cargo.toml"}
	}
	v := a.asked.Version
	if v == "" || v == "stable" || strings.HasPrefix(v, "stable-") {
		a.line = lines[preferred]
		return nil
	}
	for _, l := range append([]plan.Line{lines[preferred]}, lines...) {
		if plan.Satisfies(l.Version, v) {
			a.line = l
			return nil
		}
	}
	for _, l := range append([]plan.Line{lines[preferred]}, lines...) {
		if plan.Satisfies(l.Version, ">="+v) {
			a.line = l
			if a.asked.From != "Cargo.toml" {
				a.notes = append(a.notes, a.asked.From+" asks for Rust "+plan.Plain(v)+"; the one that compiles is "+l.Version)
			}
			return nil
		}
	}
	return stead.Invalid(a.asked.From, a.asked.From+" asks for Rust "+plan.Plain(v)+", which is not to be had here",
		"the versions are 1.63, 1.85 and 1.96; nightly and beta are not; or use a Dockerfile")
}

func toolchain(tree fs.FS) (plan.Asked, error) {
	for _, name := range []string{"rust-toolchain.toml", "rust-toolchain"} {
		data, ok, err := plan.ReadFile(tree, name)
		if err != nil {
			return plan.Asked{}, err
		}
		if !ok {
			continue
		}
		var f struct {
			Toolchain struct {
				Channel string `toml:"channel"`
			} `toml:"toolchain"`
		}
		if toml.Unmarshal(data, &f) == nil && f.Toolchain.Channel != "" {
			return plan.Asked{Version: f.Toolchain.Channel, From: name}, nil
		}
		if name == "rust-toolchain" {
			return plan.AskedIn(tree, []string{name}, nil)
		}
	}
	return plan.AskedIn(tree, nil, []string{"rust"})
}
