package pack

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/descriptor"
	"github.com/steadpaas/stead/internal/build/dockerfile"
)

// seen is the tree as packs see it: with the processes and versions that
// descriptors name in the files where packs look for them.
func seen(tree fs.FS, app *descriptor.App) fs.FS {
	o := overlay{FS: tree, files: map[string][]byte{}}
	if procs := app.Commands(); len(procs) > 0 {
		var b strings.Builder
		for _, t := range slices.Sorted(maps.Keys(procs)) {
			b.WriteString(t + ": " + strings.Join(strings.Fields(descriptor.Line(procs[t])), " ") + "\n")
		}
		o.files["Procfile"] = []byte(b.String())
	}
	if versions := app.Wishes.Build.Versions; len(versions) > 0 {
		var b strings.Builder
		for _, tool := range slices.Sorted(maps.Keys(versions)) {
			b.WriteString(tool + " " + versions[tool] + "\n")
		}
		own, err := fs.ReadFile(tree, ".tool-versions")
		if err == nil {
			b.Write(own)
		}
		o.files[".tool-versions"] = []byte(b.String())
	}
	return o
}

// described is the plan by the Dockerfile that a descriptor names; nil: none does.
func described(tree fs.FS, app *descriptor.App) (*Detected, error) {
	b := app.Wishes.Build
	if b.Dockerfile == "" {
		return nil, nil
	}
	d, err := dockerfile.Pack{File: b.Dockerfile, Target: b.Target}.Detect(tree)
	if err == nil && d == nil {
		return nil, stead.Invalid("source", "a descriptor says that "+b.Dockerfile+" builds the app, and the source has no such file", "add it, or correct the descriptor")
	}
	return d, err
}

// withDescriptors gives the plan what the descriptors say.
func withDescriptors(d *Detected, app *descriptor.App) *Detected {
	procs := app.Commands()
	if app.Closed && !onlyRelease(procs) {
		d.Processes = procs
	} else {
		maps.Copy(d.Processes, procs)
	}
	app.Settle(d.Processes, d.Frontend != "")
	d.Wishes, d.Findings = app.Wishes, app.Findings
	b := app.Wishes.Build
	if d.LLB == nil {
		for k, v := range b.Args {
			d.FrontendOpts["build-arg:"+k] = v
		}
		return d
	}
	plan, web := d.LLB, d.Processes[stead.ProcessWeb]
	d.LLB = func(in Inputs) (Output, error) {
		in.Run, in.Build = in.WithPackages(in.Run, b.Packages), in.WithPackages(in.Build, b.Packages)
		for _, line := range b.Before {
			in.Source = in.Changed(line)
		}
		out, err := plan(in)
		if err != nil {
			return out, err
		}
		for _, line := range b.After {
			out = in.Finished(out, line)
		}
		if web != nil {
			out.Config.Cmd = web
		}
		return out, nil
	}
	return d
}

// overlay is a tree with some files at its top replaced.
type overlay struct {
	fs.FS
	files map[string][]byte
}

// Open implements fs.FS.
func (o overlay) Open(name string) (fs.File, error) {
	if data, ok := o.files[name]; ok {
		return &file{name: name, size: int64(len(data)), Reader: strings.NewReader(string(data))}, nil
	}
	return o.FS.Open(name)
}

// file is a file in memory, and its own description.
type file struct {
	io.Reader
	name string
	size int64
}

func (f *file) Close() error               { return nil }
func (f *file) Stat() (fs.FileInfo, error) { return f, nil }
func (f *file) Name() string               { return f.name }
func (f *file) Size() int64                { return f.size }
func (f *file) Mode() fs.FileMode          { return 0o644 }
func (f *file) ModTime() time.Time         { return time.Time{} }
func (f *file) IsDir() bool                { return false }
func (f *file) Sys() any                   { return nil }
