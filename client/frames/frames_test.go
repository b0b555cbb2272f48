package frames

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	long := bytes.Repeat([]byte("x"), MaxPayload+7)
	for _, err := range []error{w.Write(Stdin, []byte("hello")), w.Write(StdinEOF, nil), w.WriteExit(-3),
		w.WriteResize(80, 24), w.Write(Stdout, long)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(&b)
	want := []struct {
		k Kind
		n int
	}{{Stdin, 5}, {StdinEOF, 0}, {Exit, 4}, {Resize, 4}, {Stdout, MaxPayload}, {Stdout, 7}}
	for i, x := range want {
		k, p, err := r.Read()
		if err != nil || k != x.k || len(p) != x.n {
			t.Fatalf("frame %d: got kind %d, %d bytes, %v", i, k, len(p), err)
		}
		if k == Exit && ParseExit(p) != -3 {
			t.Fatalf("exit %d", ParseExit(p))
		}
		if c, rows := uint16(0), uint16(0); k == Resize {
			if c, rows = ParseResize(p); c != 80 || rows != 24 {
				t.Fatalf("window %dx%d", c, rows)
			}
		}
	}
	if _, _, err := r.Read(); err != io.EOF {
		t.Fatalf("end: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2, 'h', 'i', 2, 0, 0, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{6, 0, 0, 0, 4, 0, 0, 0, 9})
	f.Add([]byte{5, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, read := NewReader(bytes.NewReader(data)), 0
		var again bytes.Buffer
		w := NewWriter(&again)
		for {
			k, p, err := r.Read()
			if err != nil {
				if errors.Is(err, io.EOF) && read != len(data) {
					t.Fatalf("clean end after %d of %d bytes", read, len(data))
				}
				break
			}
			if len(p) > MaxPayload {
				t.Fatalf("payload of %d bytes", len(p))
			}
			read += header + len(p)
			if err := w.Write(k, p); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again.Bytes(), data[:read]) {
			t.Fatal("frames do not write as they were read")
		}
	})
}
