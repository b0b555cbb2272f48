package plan

import (
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// MaxFile is the largest file that a pack reads to detect what a tree is, in
// bytes. Lock files may be larger; they are only looked for, not read.
const MaxFile = 1 << 20

// ReadFile returns a regular file of the tree; false if there is none. A file
// larger than MaxFile is refused by name.
func ReadFile(tree fs.FS, name string) ([]byte, bool, error) { return ReadFileMax(tree, name, MaxFile) }

// ReadFileMax is ReadFile with a limit of its own, in bytes.
func ReadFileMax(tree fs.FS, name string, limit int64) ([]byte, bool, error) {
	f, err := tree.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unreadable(name, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, false, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, false, unreadable(name, err)
	}
	if int64(len(data)) > limit {
		return nil, false, stead.Invalid(name, name+" is larger than "+strconv.FormatInt(limit>>20, 10)+" MiB", "check that this is the file you meant to push")
	}
	return data, true, nil
}

func unreadable(name string, err error) error {
	return &stead.Error{Kind: stead.KindInvalid, Field: name, Msg: name + " cannot be read",
		Hint: "check that it is a plain file and not a link to outside the source", Err: err}
}

// Has reports whether the tree has a regular file of that name.
func Has(tree fs.FS, name string) bool {
	st, err := fs.Stat(tree, name)
	return err == nil && st.Mode().IsRegular()
}

// First returns the first of the names that is a regular file of the tree, or "".
func First(tree fs.FS, names ...string) string {
	for _, n := range names {
		if Has(tree, n) {
			return n
		}
	}
	return ""
}

// HasDir reports whether the tree has a directory of that name.
func HasDir(tree fs.FS, name string) bool {
	st, err := fs.Stat(tree, name)
	return err == nil && st.IsDir()
}

// Plain returns text of the tree made fit for a line of output: printable, one
// line, at most 100 bytes.
func Plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd || (r >= 0x80 && r < 0xa0) {
			return -1
		}
		return r
	}, s)
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
