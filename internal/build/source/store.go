// Package source keeps uploaded archives, unpacks them without trusting them,
// and packs working trees.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// Store keeps archives in Dir by the SHA-256 of their bytes.
type Store struct{ Dir string }

var digestGrammar = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Put stores what r gives, at most limit bytes, and returns its digest
// (sha256:…) and size. It is on disk when Put returns; nothing is left of an
// upload that fails.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", 0, fmt.Errorf("store source: %w", err)
	}
	f, err := os.CreateTemp(s.Dir, "upload-")
	if err != nil {
		return "", 0, fmt.Errorf("store source: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(reader{ctx, r}, limit+1))
	if err != nil {
		return "", 0, fmt.Errorf("receive source: %w", err)
	}
	if size > limit {
		return "", 0, &stead.Error{Kind: stead.KindLimit, Field: "source", Msg: fmt.Sprintf("the source is larger than %d MiB", limit>>20),
			Hint: "leave out what the build does not need with .steadignore"}
	}
	if err := f.Sync(); err != nil {
		return "", 0, fmt.Errorf("store source: %w", err)
	}
	digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if err := os.Rename(f.Name(), s.path(digest)); err != nil {
		return "", 0, fmt.Errorf("store source: %w", err)
	}
	return digest, size, nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Open opens an archive for reading.
func (s *Store) Open(digest string) (io.ReadCloser, error) {
	if !digestGrammar.MatchString(digest) {
		return nil, stead.Invalid("digest", "that is not the digest of a source", "upload the source first")
	}
	f, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, stead.NotFound("source", digest)
	}
	return f, err
}

// Collect removes the archives that are not in keep and older than age, and
// what interrupted uploads left.
func (s *Store) Collect(keep []string, age time.Duration) (freed int64, err error) {
	kept := map[string]bool{}
	for _, k := range keep {
		kept[filepath.Base(s.path(k))] = true
	}
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || kept[e.Name()] || time.Since(info.ModTime()) < age {
			continue
		}
		if os.Remove(filepath.Join(s.Dir, e.Name())) == nil {
			freed += info.Size()
		}
	}
	return freed, err
}

func (s *Store) path(digest string) string {
	return filepath.Join(s.Dir, strings.TrimPrefix(digest, "sha256:"))
}
