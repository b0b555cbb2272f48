package logs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t testing.TB, dir string, l Limits) *Store {
	t.Helper()
	st, err := Open(dir, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func put(t testing.TB, st *Store, stream string, lines ...Line) {
	t.Helper()
	if err := st.Append(t.Context(), stream, lines...); err != nil {
		t.Fatal(err)
	}
}

func texts(t testing.TB, st *Store, stream string, q Query) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out []string
	for l, err := range st.Tail(ctx, stream, q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l.Text)
	}
	return out
}

func line(text string) Line { return Line{Source: "app", Process: "web.1", Text: text} }

func numbered(from, to int) (lines []Line) {
	for i := from; i < to; i++ {
		l := line(fmt.Sprintf("line %06d", i))
		l.Origin, l.Pos = "web.1", int64(i+1)
		lines = append(lines, l)
	}
	return lines
}

func TestAppendTailSealReopen(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, Limits{})
	put(t, st, "build/1", numbered(0, 1000)...)
	put(t, st, "build/1", Line{Source: "build", Process: "build.1", Text: "two\nlines \xff"})
	if err := st.Seal("build/1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := texts(t, st, "build/1", Query{Num: 3, Follow: true})
		if want := "line 000999|two|lines \uFFFD"; strings.Join(got, "|") != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if n := len(texts(t, st, "build/1", Query{Num: -1})); n != 1002 {
			t.Fatalf("%d lines, want 1002", n)
		}
		if got := texts(t, st, "build/1", Query{Num: 1, Process: "web"}); len(got) != 1 || got[0] != "line 000999" {
			t.Fatalf("filter: got %q", got)
		}
		if p := st.Pos("build/1", "web.1"); p != 1000 {
			t.Fatalf("pos %d, want 1000", p)
		}
		if err := st.Append(t.Context(), "build/1", line("late")); err == nil {
			t.Fatal("append to a sealed stream succeeded")
		}
		_ = st.Close()
		st = open(t, dir, Limits{})
	}
}

func TestLongLineIsCut(t *testing.T) {
	st := open(t, t.TempDir(), Limits{})
	put(t, st, "app/a", line(strings.Repeat("ä", 12_000)))
	got := texts(t, st, "app/a", Query{Num: -1})
	if strings.Join(got, "") != strings.Repeat("ä", 12_000) || len(got) != 3 {
		t.Fatalf("%d pieces", len(got))
	}
	for _, g := range got {
		if len(g) > MaxLine {
			t.Fatalf("a piece of %d bytes", len(g))
		}
	}
}

// Every possible torn tail loses the torn frame and nothing before it.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, Limits{})
	put(t, st, "app/a", numbered(0, 20)...)
	_ = st.Close()
	path := filepath.Join(dir, "app", "a", "0000000000000000.log")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := len(appendLine(nil, texts20()))
	for cut := len(whole) - last; cut < len(whole); cut++ {
		if err := os.WriteFile(path, append(whole[:cut:cut], "\xff\xff"[:cut%3]...), 0o600); err != nil {
			t.Fatal(err)
		}
		st := open(t, dir, Limits{})
		if p := st.Pos("app/a", "web.1"); p != 19 {
			t.Fatalf("cut at %d: pos %d, want 19", cut, p)
		}
		put(t, st, "app/a", line("after"))
		got := texts(t, st, "app/a", Query{Num: -1})
		if len(got) != 20 || got[19] != "after" || got[18] != "line 000018" {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		_ = st.Close()
	}
}

func texts20() Line {
	l := numbered(19, 20)[0]
	l.At = time.Now()
	return l
}

func TestBudgetsAndPositions(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, Limits{App: 256 << 10, Total: 600 << 10, Open: 2})
	put(t, st, "app/quiet", Line{Source: "app", Process: "web.1", Text: "once", Origin: "old", Pos: 7})
	for i := range 6 {
		name := fmt.Sprintf("app/a%d", i)
		put(t, st, name, Line{Source: "app", Process: "web.1", Text: "once", Origin: "old", Pos: 7})
		for j := range 50 {
			put(t, st, name, numbered(j*200, j*200+200)...)
		}
		if got := texts(t, st, name, Query{Num: 2}); got[1] != "line 009999" {
			t.Fatalf("newest line is %q", got)
		}
	}
	_ = st.Close()
	st = open(t, dir, Limits{App: 256 << 10, Total: 600 << 10})
	if got := st.total.Load(); got > 700<<10 || got < 300<<10 {
		t.Fatalf("%d bytes kept", got)
	}
	for i := range 6 {
		name := fmt.Sprintf("app/a%d", i)
		if p, q := st.Pos(name, "old"), st.Pos(name, "web.1"); p != 7 || q != 10000 {
			t.Fatalf("%s: positions %d, %d", name, p, q)
		}
	}
}

func TestFileBoundAndDelete(t *testing.T) {
	st := open(t, t.TempDir(), Limits{Open: 4, Streams: 10})
	for i := range 200 {
		put(t, st, fmt.Sprintf("app/s%d", i), line("x"))
	}
	if n := st.files.order.Len(); n > 4 {
		t.Fatalf("%d files open", n)
	}
	if n := len(st.streams); n > 11 {
		t.Fatalf("%d streams in memory", n)
	}
	done := make(chan []string, 1)
	started := make(chan struct{})
	go func() {
		var got []string
		for l := range st.Tail(t.Context(), "app/s3", Query{Num: 1, Follow: true}) {
			if got = append(got, l.Text); len(got) == 1 {
				close(started)
			}
		}
		done <- got
	}()
	<-started
	if err := st.Delete("app/s3"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; len(got) != 1 {
		t.Fatalf("follower got %q", got)
	}
	put(t, st, "app/s3", line("again"))
	if got := texts(t, st, "app/s3", Query{Num: -1}); len(got) != 1 || got[0] != "again" {
		t.Fatalf("after delete: %q", got)
	}
}

func TestSlowFollowerIsTold(t *testing.T) {
	st := open(t, t.TempDir(), Limits{App: 64 << 10})
	put(t, st, "app/a", numbered(0, 10)...)
	got, missed := 0, 0
	for l, err := range st.Tail(t.Context(), "app/a", Query{Num: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 {
			for i := 10; i < 20_000; i += 100 {
				put(t, st, "app/a", numbered(i, min(i+100, 20_000))...)
			}
			_ = st.Seal("app/a")
		}
		if n := 0; l.Source == "stead" {
			_, _ = fmt.Sscanf(l.Text, "dropped %d lines", &n)
			missed += n
			continue
		}
		got++
	}
	if missed == 0 || got+missed != 20_000 {
		t.Fatalf("got %d, missed %d, together not 20000", got, missed)
	}
}

func TestWritersAndFollowers(t *testing.T) {
	st := open(t, t.TempDir(), Limits{App: 256 << 20})
	const writers, followers, each = 8, 4, 3000
	var wg, fw sync.WaitGroup
	for range followers {
		fw.Go(func() {
			next := map[string]int{}
			for l, err := range st.Tail(t.Context(), "app/a", Query{Num: -1, Follow: true}) {
				if err != nil {
					t.Error(err)
					return
				}
				if want := fmt.Sprint(next[l.Process]); l.Text != want {
					t.Errorf("%s: got %s, want %s", l.Process, l.Text, want)
					return
				}
				next[l.Process]++
			}
			for w, n := range next {
				if n != each {
					t.Errorf("%s: %d lines", w, n)
				}
			}
			if len(next) != writers {
				t.Errorf("%d writers seen", len(next))
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				l := Line{Source: "app", Process: fmt.Sprintf("web.%d", w), Text: fmt.Sprint(i)}
				if err := st.Append(t.Context(), "app/a", l); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := st.Seal("app/a"); err != nil {
		t.Error(err)
	}
	fw.Wait()
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Limits{})
	if _, err := Open(dir, Limits{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("two stores opened the same directory")
	}
}

func TestBadStreamNames(t *testing.T) {
	st := open(t, t.TempDir(), Limits{})
	for _, n := range []string{"", "app", "app/", "app/..", "../x", "app/a/b", "APP/x", "app/.x", "app/a\n"} {
		if err := st.Append(t.Context(), n, line("x")); err == nil {
			t.Errorf("%q was taken", n)
		}
	}
}

func TestFormat(t *testing.T) {
	l := Line{At: time.Unix(0, 1_700_000_000_123_456_789), Source: "app", Process: "web.1", Text: "hi"}
	if got := Format(l); got != "2023-11-14T22:13:20.123456+00:00 app[web.1]: hi" {
		t.Fatal(got)
	}
}

func FuzzSegment(f *testing.F) {
	seg := appendSeal(appendLine(appendPositions([]byte(magic), []originPos{{"a", 3}}), line("hello")))
	f.Add(seg)
	f.Add(seg[:len(seg)-5])
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		_ = os.MkdirAll(filepath.Join(dir, "app", "a"), 0o700)
		_ = os.WriteFile(filepath.Join(dir, "app", "a", "0000000000000000.log"), data, 0o600)
		st := open(t, dir, Limits{})
		back := texts(t, st, "app/a", Query{Num: 1 << 30})
		all := texts(t, st, "app/a", Query{Num: -1})
		if strings.Join(back, "\n") != strings.Join(all, "\n") {
			t.Fatalf("backwards %q, forwards %q", back, all)
		}
		_ = st.Append(t.Context(), "app/a", line("next"))
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			st := open(b, b.TempDir(), Limits{})
			lines := numbered(0, batch)
			b.ResetTimer()
			for range b.N {
				if err := st.Append(b.Context(), "app/a", lines...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
