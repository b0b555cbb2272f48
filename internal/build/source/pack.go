package source

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/ignore"
)

// Pack writes the folder dir, but for what rules ignore, as a tar.gz archive.
// The same files make the same bytes: owners and times are left out.
func Pack(ctx context.Context, w io.Writer, dir string, rules *ignore.Rules) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	out := tar.NewWriter(z)
	n := 0
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || name == "." {
			return err
		}
		name = filepath.ToSlash(name)
		skip, err := rules.Ignored(name, d.IsDir())
		switch {
		case err != nil:
			return err
		case skip && d.IsDir():
			return fs.SkipDir
		case skip:
			return nil
		}
		n++
		return packEntry(out, file, name, d)
	})
	if err != nil {
		return fmt.Errorf("pack %s: %w", dir, err)
	}
	if n == 0 {
		return stead.Invalid("source", "there is nothing to push in "+dir, "go to the app's folder, or name it: stead push FOLDER")
	}
	if err := out.Close(); err != nil {
		return err
	}
	return z.Close()
}

func packEntry(out *tar.Writer, file, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		if h.Linkname, err = os.Readlink(file); err != nil {
			return err
		}
		h.Typeflag = tar.TypeSymlink
		return out.WriteHeader(h)
	case info.IsDir():
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return out.WriteHeader(h)
	case !info.Mode().IsRegular():
		return nil // sockets and the like are of no use elsewhere
	}
	if info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(f, info.Size()))
	return err
}
