package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/steadpaas/stead"
)

func ring(t *testing.T) (*KeyRing, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.keys")
	r, err := OpenKeyRing(path)
	check(t, err)
	return r, path
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func TestSealOpen(t *testing.T) {
	r, _ := ring(t)
	rapid.Check(t, func(t *rapid.T) {
		plain, aad := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed, err := r.Seal(plain, aad)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Open(sealed, aad)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got %x, %v", got, err)
		}
		if len(plain) > 8 && bytes.Contains(sealed, plain) {
			t.Fatal("the plain text shows")
		}
		if _, err := r.Open(sealed, append(aad, 'x')); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened with another aad: %v", err)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "flip")
		sealed[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := r.Open(sealed, aad); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened with byte %d changed: %v", i, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	r, err := OpenKeyRing(filepath.Join(f.TempDir(), "k"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := r.Seal([]byte("x"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := r.Open(b, nil); err == nil && !bytes.Equal(b, good) {
			t.Error("opened a forgery")
		}
	})
}

func TestRotate(t *testing.T) {
	r, path := ring(t)
	old, err := r.Seal([]byte("v"), []byte("a"))
	check(t, err)
	other, err := OpenKeyRing(path) // another process
	check(t, err)
	check(t, r.Rotate())
	if r.Current(old) {
		t.Error("the old value counts as current")
	}
	fresh, changed, err := r.Reseal(old, []byte("a"))
	check(t, err)
	if !changed || !r.Current(fresh) {
		t.Error("not sealed again")
	}
	if _, changed, err := r.Reseal(fresh, []byte("a")); changed || err != nil {
		t.Errorf("sealed again for nothing: %v", err)
	}
	for _, k := range []*KeyRing{r, other} { // the other reads the file anew
		for _, v := range [][]byte{old, fresh} {
			got, err := k.Open(v, []byte("a"))
			check(t, err)
			if string(got) != "v" {
				t.Errorf("got %q", got)
			}
		}
	}
}

func TestForeignKey(t *testing.T) {
	a, _ := ring(t)
	b, _ := ring(t)
	v, err := a.Seal([]byte("v"), nil)
	check(t, err)
	if _, err := b.Open(v, nil); !errors.Is(err, ErrSealed) {
		t.Errorf("got %v", err)
	}
}

func TestFileMode(t *testing.T) {
	_, path := ring(t)
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o620} {
		check(t, os.Chmod(path, mode))
		if _, err := OpenKeyRing(path); stead.KindOf(err) != stead.KindPrecondition {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestDamagedFile(t *testing.T) {
	_, path := ring(t)
	good, err := os.ReadFile(path)
	check(t, err)
	for _, data := range []string{"", "# nothing\n", "junk\n", keyWord + " 00 00\n", string(good) + "x\n", string(good[:len(good)-3])} {
		check(t, os.WriteFile(path, []byte(data), 0o600))
		if _, err := OpenKeyRing(path); stead.KindOf(err) != stead.KindPrecondition {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestCreatedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.keys")
	rings := make([]*KeyRing, 8)
	var wait sync.WaitGroup
	for i := range rings {
		wait.Go(func() {
			r, err := OpenKeyRing(path)
			if err != nil {
				t.Error(err)
			}
			rings[i] = r
		})
	}
	wait.Wait()
	v, err := rings[0].Seal([]byte("v"), nil)
	check(t, err)
	for _, r := range rings {
		_, err := r.Open(v, nil)
		check(t, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*"))
	check(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRedacted(t *testing.T) {
	s := Redacted("hunter2")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "in", struct{ S Redacted }{s})
	j, err := json.Marshal(map[string]any{"s": []any{s, &s, struct{ S Redacted }{s}}})
	check(t, err)
	out := fmt.Sprintf("%v %s %q %x %+v %#v %d %v", s, s, s, s, s, s, s, struct{ S Redacted }{s}) + log.String() + string(j)
	if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e746572") {
		t.Errorf("it shows: %s", out)
	}
	if string(s) != "hunter2" {
		t.Error("it is lost")
	}
}

// TestRotatedElsewhere has another process rotate the keys: the next value is
// sealed under the new one.
func TestRotatedElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	here, err := OpenKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	there, err := OpenKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := there.Rotate(); err != nil {
		t.Fatal(err)
	}
	sealed, err := here.Seal([]byte("x"), nil)
	if err != nil || !there.Current(sealed) {
		t.Errorf("sealed under an older key: %v", err)
	}
}
