package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/ignore"
)

// archive makes a tar of headers; a regular file's content is its Linkname.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := ""
		if h.Typeflag == tar.TypeReg {
			body, h.Linkname = h.Linkname, ""
			h.Size = int64(len(body))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reg(name, body string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: body}
}

func TestUnpackRefusesHostileEntries(t *testing.T) {
	tests := map[string][]tar.Header{
		"parent":               {reg("../evil", "x")},
		"parent inside":        {reg("a/../../evil", "x")},
		"absolute":             {reg("/etc/evil", "x")},
		"link out":             {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../../etc"}},
		"absolute link":        {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}},
		"write through a link": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "f"}, reg("f", "x"), reg("l/evil", "x")},
		"hard link out":        {{Name: "h", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}},
		"device":               {{Name: "d", Typeflag: tar.TypeChar}},
		"pipe":                 {{Name: "p", Typeflag: tar.TypeFifo}},
		"deep":                 {reg(strings.Repeat("a/", 100)+"f", "x")},
		"file and folder":      {{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, reg("a", "x")},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "in", "side")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := Unpack(t.Context(), bytes.NewReader(archive(t, headers...)), dir, Limits{})
			if stead.KindOf(err) != stead.KindInvalid {
				t.Errorf("got %v, want an invalid source", err)
			}
			if _, err := os.Lstat(filepath.Join(parent, "evil")); err == nil {
				t.Error("something was written outside")
			}
		})
	}
}

func TestUnpackLimits(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(archive(t, reg("zeros", strings.Repeat("\x00", 4<<20)))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	err := Unpack(t.Context(), &bomb, t.TempDir(), Limits{Bytes: 1 << 20})
	if stead.KindOf(err) != stead.KindLimit {
		t.Errorf("bomb: got %v, want a limit", err)
	}
	err = Unpack(t.Context(), bytes.NewReader(archive(t, reg("a", ""), reg("b", ""), reg("c", ""))), t.TempDir(), Limits{Files: 2})
	if stead.KindOf(err) != stead.KindLimit {
		t.Errorf("many files: got %v, want a limit", err)
	}
	err = Unpack(t.Context(), strings.NewReader(strings.Repeat("no archive ", 100)), t.TempDir(), Limits{})
	if stead.KindOf(err) != stead.KindInvalid {
		t.Errorf("garbage: got %v, want an invalid source", err)
	}
}

func TestPackUnpack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	files := map[string]string{"main.go": "package main", "sub/deep/x.txt": "x", "ignored.log": "no", ".gitignore": "*.log\n"}
	for name, body := range files {
		if err := os.MkdirAll(filepath.Join(from, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(from, "run.sh"), []byte("#!/bin/sh"), 0o4755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("main.go", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	rules, err := ignore.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := Pack(t.Context(), b, from, rules); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same tree makes different archives")
	}
	if err := Unpack(t.Context(), &first, to, Limits{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"main.go": "package main", "sub/deep/x.txt": "x", "link": "package main"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "ignored.log")); err == nil {
		t.Error("an ignored file was packed")
	}
	if info, err := os.Stat(filepath.Join(to, "run.sh")); err != nil || info.Mode().Perm() != 0o755 || info.Mode()&os.ModeSetuid != 0 {
		t.Errorf("run.sh: %v, %v", info.Mode(), err)
	}
}

func TestStore(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	digest, size, err := s.Put(t.Context(), strings.NewReader("hello"), 5)
	if err != nil || size != 5 || digest != "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Fatalf("Put = %s, %d, %v", digest, size, err)
	}
	r, err := s.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, _ := io.ReadAll(r); string(b) != "hello" {
		t.Errorf("read %q", b)
	}
	if _, _, err := s.Put(t.Context(), strings.NewReader("hello!"), 5); stead.KindOf(err) != stead.KindLimit {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Put(ctx, strings.NewReader("x"), 5); err == nil {
		t.Error("a canceled upload was stored")
	}
	for _, bad := range []string{"", "../../etc/passwd", "sha256:" + strings.Repeat("g", 64)} {
		if _, err := s.Open(bad); err == nil {
			t.Errorf("Open(%q) worked", bad)
		}
	}
	if entries, _ := os.ReadDir(s.Dir); len(entries) != 1 {
		t.Errorf("%d files are left, want 1", len(entries))
	}
	if freed, err := s.Collect([]string{digest}, 0); err != nil || freed != 0 {
		t.Errorf("Collect freed %d of what is kept, %v", freed, err)
	}
	if freed, err := s.Collect(nil, time.Hour); err != nil || freed != 0 {
		t.Errorf("Collect freed %d of what is young, %v", freed, err)
	}
	if freed, err := s.Collect(nil, 0); err != nil || freed != 5 {
		t.Errorf("Collect freed %d, %v", freed, err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, reg("a/b", "x"), tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a"}, reg("l/c", "y")))
	f.Add(archive(f, reg("../x", "y")))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(t.Context(), bytes.NewReader(data), dir, Limits{Bytes: 1 << 20, Files: 100})
		if entries, _ := os.ReadDir(parent); len(entries) != 1 {
			t.Fatalf("something was written outside: %v", entries)
		}
	})
}
