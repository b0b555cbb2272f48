// Package binary makes an image of a ready Linux program.
package binary

import (
	"debug/elf"
	"io"
	"io/fs"
	"path"
	"regexp"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "binary".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "binary" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"a Linux executable"} }

// maxSeen is how many files are looked into.
const maxSeen = 1000

// program is a Linux executable of the tree.
type program struct {
	path string
	arch string // as in Platform.Architecture
}

var pathGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)

// Detect implements plan.Pack: an ELF executable at the root or in bin.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	found := append(executables(tree, "."), executables(tree, "bin")...)
	if len(found) == 0 {
		return nil, nil
	}
	procs := map[string]stead.Command{}
	if !plan.Has(tree, "Procfile") {
		if len(found) > 1 {
			return nil, stead.Invalid("Procfile", "there are several executables, and nothing says which one serves the web",
				"add a Procfile, such as \"web: ./"+found[0].path+"\"")
		}
		procs["web"] = stead.Command{"/app/" + found[0].path}
	}
	d := &plan.Detected{Pack: "binary", Processes: procs, Summary: "Linux executable " + plan.Plain(found[0].path) + " (" + found[0].arch + ")"}
	d.LLB = func(in plan.Inputs) (plan.Output, error) { return build(in, found) }
	return d, nil
}

func build(in plan.Inputs, found []program) (plan.Output, error) {
	for _, p := range found {
		if p.arch != in.Platform.Architecture {
			return plan.Output{}, stead.Invalid("source", p.path+" is a program for "+p.arch+", and apps run on "+in.Platform.Architecture+" here",
				"compile it for linux/"+in.Platform.Architecture)
		}
	}
	st := plan.CopyApp(in.Run, in.Source, "/", "/app", "copy the app", ".git")
	return plan.Output{State: st, Config: plan.Image([]string{"/app", "/app/bin"})}, nil
}

func executables(tree fs.FS, dir string) []program {
	var found []program
	entries, _ := fs.ReadDir(tree, dir)
	for i, e := range entries {
		name := path.Join(dir, e.Name())
		if i >= maxSeen {
			break
		}
		if !e.Type().IsRegular() || !pathGrammar.MatchString(name) {
			continue
		}
		if arch := architecture(tree, name); arch != "" {
			found = append(found, program{name, arch})
		}
	}
	return found
}

// architecture returns "" for what is not an executable ELF file with its
// executable bit set. Only the fixed-size header is read.
func architecture(tree fs.FS, name string) string {
	f, err := tree.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm()&0o111 == 0 {
		return ""
	}
	var h [20]byte
	if _, err := io.ReadFull(f, h[:]); err != nil || string(h[:4]) != elf.ELFMAG || h[elf.EI_DATA] != byte(elf.ELFDATA2LSB) {
		return ""
	}
	if t := elf.Type(h[16]) | elf.Type(h[17])<<8; t != elf.ET_EXEC && t != elf.ET_DYN {
		return ""
	}
	switch m := elf.Machine(h[18]) | elf.Machine(h[19])<<8; m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	default:
		return plan.Plain(m.String())
	}
}
