package source

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/steadpaas/stead"
)

// Limits bound an unpacked tree. Zero fields have the defaults.
type Limits struct {
	Bytes int64 // of all files; 4 GiB
	Files int   // entries; 200 000
	Depth int   // folders below each other; 64
	Name  int   // bytes of a path; 1024
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 4 << 30
	}
	if l.Files == 0 {
		l.Files = 200_000
	}
	if l.Depth == 0 {
		l.Depth = 64
	}
	if l.Name == 0 {
		l.Name = 1024
	}
	return l
}

// Unpack extracts a tar archive, plain or compressed by gzip or zstd, into the
// folder dir. Nothing outside dir is ever touched (os.Root): entries with "..",
// absolute names, links that lead out, devices and pipes are refused by name.
// Owners and special mode bits are dropped.
func Unpack(ctx context.Context, r io.Reader, dir string, l Limits) error {
	plain, done, err := decompress(reader{ctx, r})
	if err != nil {
		return err
	}
	defer done()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open folder for source: %w", err)
	}
	defer root.Close()
	u := &unpacker{root: root, l: l.withDefaults()}
	for in := tar.NewReader(plain); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = u.entry(h, in)
		}
		if err != nil {
			return readable(ctx, err)
		}
	}
}

// readable turns what a broken archive causes into a sentence.
func readable(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*stead.Error](err); ok || ctx.Err() != nil {
		return err
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("unpack source: %w", err)
	}
	return &stead.Error{Kind: stead.KindInvalid, Field: "source", Msg: "the source is not a readable tar archive: " + err.Error(),
		Hint: "send a .tar, .tar.gz or .tar.zst archive", Err: err}
}

// decompress recognises gzip and zstd by their first bytes.
func decompress(r io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(r, 64<<10)
	magic, _ := in.Peek(4)
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, readable(context.Background(), err)
		}
		return z, func() { _ = z.Close() }, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, readable(context.Background(), err)
		}
		return z, z.Close, nil
	}
	return in, func() {}, nil
}

type unpacker struct {
	root  *os.Root
	l     Limits
	bytes int64
	files int
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // git archive writes one: the commit
		return nil
	}
	name, err := u.name(h.Name)
	if err != nil || name == "." {
		return err
	}
	if u.files++; u.files > u.l.Files {
		return tooMuch(fmt.Sprintf("the source has more than %d files", u.l.Files))
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.folder(name)
	case tar.TypeReg:
		return u.file(name, h, r)
	case tar.TypeSymlink:
		return u.symlink(name, h.Linkname)
	case tar.TypeLink:
		return u.link(name, h.Linkname)
	}
	return refuse(h.Name, "is a device or another special file", "leave it out; sources hold files, folders and links")
}

func (u *unpacker) name(raw string) (string, error) {
	switch {
	case strings.ContainsRune(raw, 0) || strings.HasPrefix(raw, "/") || !filepath.IsLocal(filepath.FromSlash(path.Clean("./"+raw))):
		return "", refuse(raw, "leads out of the source", "pack the tree with relative names and without \"..\"")
	case len(raw) > u.l.Name || strings.Count(raw, "/") > u.l.Depth:
		return "", refuse(raw, "has too long a name or lies too deep", "shorten the path")
	}
	for part := range strings.SplitSeq(raw, "/") {
		if part == ".." {
			return "", refuse(raw, "leads out of the source", "pack the tree with relative names and without \"..\"")
		}
	}
	return path.Clean(raw), nil
}

func (u *unpacker) folder(name string) error {
	if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
		return nil
	}
	return u.root.MkdirAll(name, 0o755)
}

// above makes the folder that an entry lies in, and room for the entry.
func (u *unpacker) above(name string) error {
	if dir := path.Dir(name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return refuse(name, "lies below something that is not a folder of the source", "check the links in the tree")
		}
	}
	if info, err := u.root.Lstat(name); err == nil {
		if info.IsDir() {
			return refuse(name, "is both a file and a folder", "give one of them another name")
		}
		return u.root.Remove(name)
	}
	return nil
}

func (u *unpacker) file(name string, h *tar.Header, r io.Reader) error {
	if err := u.above(name); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, io.LimitReader(r, u.l.Bytes-u.bytes+1))
	if u.bytes += n; u.bytes > u.l.Bytes {
		return tooMuch(fmt.Sprintf("the unpacked source is larger than %d MiB", u.l.Bytes>>20))
	}
	return err
}

// symlink makes a link if it stays inside the tree.
func (u *unpacker) symlink(name, to string) error {
	if to == "" || strings.HasPrefix(to, "/") || !filepath.IsLocal(path.Join(path.Dir(name), to)) {
		return refuse(name, "is a link that leads out of the source, to "+to, "replace it by the file it means")
	}
	if err := u.above(name); err != nil {
		return err
	}
	return u.root.Symlink(to, name)
}

func (u *unpacker) link(name, to string) error {
	target, err := u.name(to)
	if err != nil {
		return err
	}
	if err := u.above(name); err != nil {
		return err
	}
	if err := u.root.Link(target, name); err != nil {
		return refuse(name, "is a hard link to something that is not there, "+to, "pack the tree again")
	}
	return nil
}

func refuse(name, why, try string) error {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return stead.Invalid("source", fmt.Sprintf("%q in the source %s", name, why), try)
}

func tooMuch(msg string) error {
	return &stead.Error{Kind: stead.KindLimit, Field: "source", Msg: msg, Hint: "leave out what the build does not need with .steadignore"}
}
