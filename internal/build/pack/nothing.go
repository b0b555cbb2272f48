package pack

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// nothingFound says what was looked for, and in which folder below there is
// something that would have been recognised.
func nothingFound(tree fs.FS, procs map[string]stead.Command) error {
	var marks []string
	for _, p := range packs() {
		marks = append(marks, p.Marks()...)
	}
	slices.Sort(marks[1:]) // Dockerfile first
	msg := "nothing in the source tells how to build it: at its root there is no " + strings.Join(slices.Compact(marks), ", ")
	if len(procs) > 0 {
		msg += " (only a Procfile)"
	}
	hint := "push the folder that holds one of them, add a Dockerfile, or commit a Linux executable and a Procfile that starts it"
	if found := below(tree); len(found) > 0 {
		hint = "there are apps in folders: " + strings.Join(found, ", ") + "; push one of these folders"
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: "source", Msg: msg, Hint: hint}
}

// Limits of the search in folders of a tree that may be hostile.
const (
	maxFolders = 200
	maxHints   = 5
)

// below lists folders, at most two levels down, that a pack knows.
func below(tree fs.FS) []string {
	var found []string
	for i, dir := range folders(tree) {
		sub, err := fs.Sub(tree, dir)
		if err != nil || i >= maxFolders || len(found) >= maxHints {
			break
		}
		for _, p := range packs() {
			if d, err := p.Detect(sub); err == nil && d != nil {
				found = append(found, plan.Plain(dir)+" ("+d.Pack+")")
				break
			}
		}
	}
	return found
}

func folders(tree fs.FS) []string {
	one := subfolders(tree, ".")
	two := slices.Clone(one)
	for _, dir := range one {
		if len(two) < maxFolders {
			two = append(two, subfolders(tree, dir)...)
		}
	}
	return two
}

func subfolders(tree fs.FS, dir string) (out []string) {
	entries, _ := fs.ReadDir(tree, dir)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "node_modules" && e.Name() != "vendor" && len(out) < maxFolders {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out
}
