package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Collect removes the images of apps that are neither in keep (references
// "apps/<id>@sha256:…") nor younger than the grace time, then every blob that
// nothing refers to, then abandoned uploads. Base images stay. It returns how
// many bytes were freed. Pushes wait while it runs.
func (r *Registry) Collect(ctx context.Context, keep []string) (freed int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &collection{root: r.root(), before: time.Now().Add(-r.cfg.Grace), keep: map[string]bool{}, marked: map[string]bool{}}
	for _, k := range keep {
		c.keep[k] = true
	}
	for _, step := range []func(context.Context) error{c.manifests, c.sweep, c.uploads} {
		if err := step(ctx); err != nil {
			return c.freed, fmt.Errorf("collect images: %w", err)
		}
	}
	r.log.Info("registry collected", "freed", c.freed, "kept_blobs", len(c.marked))
	return c.freed, nil
}

// Size returns how many bytes the blobs take.
func (r *Registry) Size() (total int64, err error) {
	err = filepath.WalkDir(filepath.Join(r.root(), "blobs"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return total, err
}

type collection struct {
	root   string
	before time.Time
	keep   map[string]bool // references
	marked map[string]bool // hex digests of blobs
	freed  int64
}

// manifests removes the manifests to forget and marks what the others refer to.
func (c *collection) manifests(ctx context.Context) error {
	base := filepath.Join(c.root, "repositories")
	return filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.IsDir() && (d.Name() == "_layers" || d.Name() == "_uploads") {
			return fs.SkipDir
		}
		if !d.IsDir() || d.Name() != "_manifests" {
			return nil
		}
		repository, err := filepath.Rel(base, filepath.Dir(path))
		if err != nil {
			return err
		}
		return orSkip(c.repository(filepath.ToSlash(repository), path))
	})
}

// orSkip leaves a directory out that was dealt with.
func orSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func (c *collection) repository(name, dir string) error {
	revisions := filepath.Join(dir, "revisions/sha256")
	entries, err := os.ReadDir(revisions)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	gone := map[string]bool{}
	for _, e := range entries {
		hex := e.Name()
		if !c.wanted(name, hex, filepath.Join(revisions, hex)) {
			gone[hex] = true
			continue
		}
		if err := c.mark(hex, 0); err != nil {
			return err
		}
	}
	for hex := range gone {
		if c.marked[hex] { // part of an index that stays
			continue
		}
		if err := os.RemoveAll(filepath.Join(revisions, hex)); err != nil {
			return err
		}
	}
	return c.tags(filepath.Join(dir, "tags"), gone)
}

func (c *collection) wanted(name, hex, link string) bool {
	if !strings.HasPrefix(name, "apps/") || c.keep[name+"@sha256:"+hex] {
		return true
	}
	for _, p := range []string{link, c.blob(hex)} {
		if info, err := os.Stat(p); err == nil && info.ModTime().After(c.before) {
			return true
		}
	}
	return false
}

// tags removes the tags of manifests that are gone.
func (c *collection) tags(dir string, gone map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		link, err := os.ReadFile(filepath.Join(dir, e.Name(), "current/link"))
		if err != nil {
			continue
		}
		if hex := strings.TrimPrefix(strings.TrimSpace(string(link)), "sha256:"); gone[hex] && !c.marked[hex] {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collection) blob(hex string) string {
	if len(hex) < 2 {
		hex = "--"
	}
	return filepath.Join(c.root, "blobs/sha256", hex[:2], hex, "data")
}

// mark keeps a manifest, and what it refers to.
func (c *collection) mark(hex string, depth int) error {
	if c.marked[hex] || depth > 4 {
		return nil
	}
	c.marked[hex] = true
	data, err := os.ReadFile(c.blob(hex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	type ref struct {
		Digest string `json:"digest"`
	}
	var m struct {
		Config    ref   `json:"config"`
		Subject   ref   `json:"subject"`
		Layers    []ref `json:"layers"`
		Manifests []ref `json:"manifests"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("read manifest sha256:%s: %w", hex, err)
	}
	for _, l := range append(m.Layers, m.Config) {
		c.marked[strings.TrimPrefix(l.Digest, "sha256:")] = true
	}
	for _, sub := range append(m.Manifests, m.Subject) {
		if err := c.mark(strings.TrimPrefix(sub.Digest, "sha256:"), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the blobs that are not marked and not young.
func (c *collection) sweep(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(c.root, "blobs/sha256/??/*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		info, err := os.Stat(filepath.Join(dir, "data"))
		if c.marked[filepath.Base(dir)] || (err == nil && info.ModTime().After(c.before)) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if info != nil {
			c.freed += info.Size()
		}
	}
	return nil
}

// uploads removes what was begun and not finished.
func (c *collection) uploads(context.Context) error {
	base := filepath.Join(c.root, "repositories")
	return filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !d.IsDir() || filepath.Base(filepath.Dir(path)) != "_uploads" {
			return nil
		}
		if young(path, c.before) {
			return fs.SkipDir
		}
		return orSkip(os.RemoveAll(path))
	})
}

// young reports whether anything in the directory changed after t.
func young(dir string, t time.Time) bool {
	found := false
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.ModTime().After(t) {
			found = true
		}
		return nil
	})
	return found
}
