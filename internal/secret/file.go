package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/steadpaas/stead"
)

// The file of a key ring is a comment and one line a master key, oldest first:
// "stead-key-1 <id> <key>", both hexadecimal.
const (
	keyWord = "stead-key-1"
	comment = "# Master keys of Stead. Without them no config of any app can be read: keep a copy apart from the database's.\n"
)

// OpenKeyRing reads the master keys of the file; if there is no file, it is
// made, mode 0600, with one key. A file that others may read is refused.
func OpenKeyRing(path string) (*KeyRing, error) {
	r := &KeyRing{path: path}
	err := r.reload()
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path, []masterKey{newKey()}); err != nil {
			return nil, err
		}
		err = r.reload()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Rotate adds a new master key, which seals from now on. It is on disk before
// it is used. The older ones still open.
func (r *KeyRing) Rotate() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := read(r.path) // another process may have added some
	if err != nil {
		return err
	}
	keys = append(keys, newKey())
	if err := write(r.path, keys); err != nil {
		return err
	}
	r.keys, r.size = keys, -1 // read it again before the next seal
	return nil
}

// refresh reads the file again if another process has rotated the keys: from
// then on only the new one seals.
func (r *KeyRing) refresh() error {
	info, err := os.Stat(r.path)
	r.mu.RLock()
	same := err == nil && info.Size() == r.size
	r.mu.RUnlock()
	if same || errors.Is(err, fs.ErrNotExist) { // the keys in memory still hold
		return nil
	}
	return r.reload()
}

func (r *KeyRing) reload() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return fmt.Errorf("read master keys: %w", err)
	}
	keys, err := read(r.path)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.keys, r.size = keys, info.Size()
	r.mu.Unlock()
	return nil
}

func newKey() (k masterKey) {
	_, _ = rand.Read(k.id[:])
	_, _ = rand.Read(k.key[:])
	return k
}

func read(path string) ([]masterKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read master keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read master keys: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, stead.Precondition(fmt.Sprintf("the master key file %s can be read by others (mode %04o)", path, info.Mode().Perm()),
			"make it private with chmod 600, and rotate the keys if anybody may have read it")
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, fmt.Errorf("read master keys: %w", err)
	}
	return parse(path, b.String())
}

func parse(path, data string) ([]masterKey, error) {
	var keys []masterKey
	for line := range strings.Lines(data) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		k, ok := parseKey(f)
		if !ok {
			return nil, damaged(path)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, damaged(path)
	}
	return keys, nil
}

func parseKey(f []string) (k masterKey, ok bool) {
	if len(f) != 3 || f[0] != keyWord {
		return k, false
	}
	id, err1 := hex.DecodeString(f[1])
	key, err2 := hex.DecodeString(f[2])
	ok = err1 == nil && err2 == nil && len(id) == idLen && len(key) == keyLen
	copy(k.id[:], id)
	copy(k.key[:], key)
	return k, ok
}

func damaged(path string) error {
	return stead.Precondition("the master key file "+path+" is damaged", "restore it from a backup; without it no sealed value can be read")
}

func format(keys []masterKey) string {
	var b strings.Builder
	b.WriteString(comment)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %x %x\n", keyWord, k.id, k.key)
	}
	return b.String()
}

// create makes the file whole or not at all, and leaves one that is there.
func create(path string, keys []masterKey) error {
	err := place(path, keys, os.Link)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was first
	}
	return err
}

// write replaces the file, whole or not at all.
func write(path string, keys []masterKey) error { return place(path, keys, os.Rename) }

func place(path string, keys []masterKey, move func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write master keys: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(format(slices.Clip(keys)))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = move(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write master keys: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
