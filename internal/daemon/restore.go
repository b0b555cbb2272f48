package daemon

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

// restore makes the data directory anew from a backup ("-": from in). Started
// then, the platform makes everything else again.
func restore(ctx context.Context, c Config, file string, in io.Reader, errw io.Writer) error {
	if err := c.empty(); err != nil {
		return err
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return stead.Invalid("file", "the backup cannot be read: "+err.Error(), "name the file that steadd backup wrote")
		}
		defer f.Close()
		in = f
	}
	if err := c.makeDirs(); err != nil {
		return err
	}
	a, err := c.unpackBackup(ctx, in)
	if err != nil {
		return errors.Join(err, c.clear())
	}
	fmt.Fprintf(errw, "restored the backup of %s (%s)\n", a.At.Local().Format("2006-01-02 15:04"), a.Domain)
	if !a.Database {
		fmt.Fprintln(errw, "its state is in PostgreSQL: restore that too, before the start")
	}
	if !a.Images {
		fmt.Fprintln(errw, "it is without images: each app runs again when it is pushed again")
	}
	if a.Domain != c.Domain {
		fmt.Fprintf(errw, "its domain was %s and is %s now: apps keep the hosts that they have\n", a.Domain, c.Domain)
	}
	return nil
}

// empty refuses a data directory with state in it.
func (c Config) empty() error {
	for _, name := range append(backupEntries(true), backupDatabase, "engine") {
		if _, err := os.Lstat(c.path(name)); err == nil {
			return stead.Precondition("there is a platform in "+c.Data+" already ("+name+")",
				"restore to another data directory, or remove that one first: steadd purge")
		}
	}
	return nil
}

// clear removes what a restore that failed has written.
func (c Config) clear() (err error) {
	for _, name := range append(backupEntries(true), backupDatabase) {
		err = errors.Join(err, os.RemoveAll(c.path(name)))
	}
	return err
}

func (c Config) unpackBackup(ctx context.Context, in io.Reader) (a about, err error) {
	damaged := func(err error) error {
		return &stead.Error{Kind: stead.KindInvalid, Field: "file", Msg: "this is no whole backup of Stead: " + err.Error(), Hint: "use a file that steadd backup wrote to its end", Err: err}
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return a, damaged(err)
	}
	root, err := os.OpenRoot(c.Data) // nothing leads out of it
	if err != nil {
		return a, err
	}
	defer root.Close()
	t := tar.NewReader(z)
	for first := true; ; first = false {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && !first {
			return a, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return a, damaged(err)
		case first != (h.Name == backupAbout):
			return a, damaged(errors.New("its description is not where it belongs"))
		case first:
			if err := json.NewDecoder(io.LimitReader(t, 64<<10)).Decode(&a); err != nil {
				return a, damaged(err)
			}
			if a.Format != backupFormat {
				return a, stead.Precondition(fmt.Sprintf("the backup has format %d, this program knows %d", a.Format, backupFormat), "restore it with the program that made it: "+a.Version)
			}
		default:
			if err := putEntry(root, h, t); err != nil {
				return a, damaged(err)
			}
		}
	}
}

func putEntry(root *os.Root, h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	top, _, _ := strings.Cut(name, "/")
	if top != backupDatabase && !slices.Contains(backupEntries(true), top) {
		return fmt.Errorf("it holds %q", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o700)
	case tar.TypeReg:
	default:
		return fmt.Errorf("it holds %q, which is neither a file nor a folder", h.Name)
	}
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode)&0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
