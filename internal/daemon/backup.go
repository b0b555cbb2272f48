package daemon

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// A backup is a gzipped tar. First comes a description, then the database as
// it was at one moment, then the files below the data directory. Files come
// after what refers to them: the database before images, a repository's refs
// before its objects. So whatever is pushed meanwhile, nothing that a backup
// refers to is missing from it.
const (
	backupAbout    = "stead-backup.json"
	backupDatabase = "stead.db"
	backupFormat   = 1
)

// about describes a backup.
type about struct {
	Format   int       `json:"format"`
	At       time.Time `json:"at"`
	Version  string    `json:"version"` // of the program that made it
	Domain   string    `json:"domain"`
	Database bool      `json:"database"` // false: the state is in PostgreSQL, and not in here
	Images   bool      `json:"images"`
}

// backupEntries are what of the data directory cannot be made again.
func backupEntries(images bool) []string {
	e := []string{"keys", "registry.secret", "ssh_host_ed25519", "router", "git"}
	if images {
		e = append(e, "registry")
	}
	return e
}

// backup writes the platform's state to the file ("-": to out), also while the
// platform runs. The file is for its owner only: it holds the master keys.
func backup(ctx context.Context, c Config, file string, images bool, out io.Writer) (err error) {
	if !c.made() {
		return stead.Precondition("there is no platform in "+c.Data, "name its data directory with --data or STEAD_DATA")
	}
	if file != "-" {
		f, err := os.CreateTemp(filepath.Dir(file), ".backup-*") // mode 0600
		if err != nil {
			return fmt.Errorf("write backup: %w", err)
		}
		defer os.Remove(f.Name())
		if err := errors.Join(c.writeBackup(ctx, f, images), f.Sync(), f.Close()); err != nil {
			return err
		}
		return os.Rename(f.Name(), file)
	}
	return c.writeBackup(ctx, out, images)
}

func (c Config) writeBackup(ctx context.Context, out io.Writer, images bool) error {
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed) // most of it is compressed already
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	a := about{Format: backupFormat, At: time.Now().UTC(), Version: Version, Domain: c.Domain, Database: c.Database == "", Images: images}
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: backupAbout, Mode: 0o600, Size: int64(len(data)), ModTime: a.At, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	if _, err := t.Write(data); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	if a.Database {
		if err := c.addDatabase(ctx, t); err != nil {
			return err
		}
	}
	for _, name := range backupEntries(images) {
		if err := c.addTree(ctx, t, name); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func (c Config) addDatabase(ctx context.Context, t *tar.Writer) error {
	dir, err := os.MkdirTemp(c.path("run"), "backup-")
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, backupDatabase)
	if err := store.Snapshot(ctx, c.dsn(), file); err != nil {
		return err
	}
	return addFile(t, file, backupDatabase)
}

// addTree adds a file or a folder of the data directory; in a folder "objects",
// which holds what others refer to, comes last.
func (c Config) addTree(ctx context.Context, t *tar.Writer, name string) error {
	for _, objects := range []bool{false, true} {
		err := filepath.WalkDir(c.path(name), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile, or never made
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(c.Data, path)
			if err != nil {
				return err
			}
			in := strings.Contains(rel+"/", "/objects/")
			switch {
			case d.IsDir() && in && !objects:
				return filepath.SkipDir
			case d.Type().IsRegular() && in == objects && rel != filepath.Join("router", "table.json"):
				return errors.Join(ctx.Err(), addFile(t, path, rel))
			case d.IsDir() && in == objects:
				return t.WriteHeader(&tar.Header{Name: rel + "/", Mode: 0o700, Typeflag: tar.TypeDir})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("back %s up: %w", name, err)
		}
	}
	return nil
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, info.Size()) // what grows meanwhile is cut at the size it had
	return err
}
