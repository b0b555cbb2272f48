package ignore

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestIgnored(t *testing.T) {
	tree := fstest.MapFS{
		".gitignore":     {Data: []byte("# comment\nnode_modules/\n*.log\n!keep.log\n/dist\ndocs/**/*.tmp\na?c\n[xy].z\n\\#odd\nspaced\\ \n")},
		".steadignore":   {Data: []byte("secret.txt\r\n!dist\n")},
		"sub/.gitignore": {Data: []byte("*.txt\n!/here.txt\n")},
	}
	tests := []struct {
		name   string
		folder bool
		want   bool
	}{
		{"main.go", false, false},
		{"node_modules", true, true},
		{"node_modules", false, false},
		{"a/node_modules", true, true},
		{"x.log", false, true},
		{"deep/er/x.log", false, true},
		{"keep.log", false, false},
		{"dist", true, false}, // .steadignore takes it back
		{"docs/a.tmp", false, true},
		{"docs/x/y/a.tmp", false, true},
		{"a.tmp", false, false},
		{"abc", false, true},
		{"ac", false, false},
		{"x.z", false, true},
		{"w.z", false, false},
		{"#odd", false, true},
		{"spaced ", false, true},
		{"secret.txt", false, true},
		{"sub/a.txt", false, true},
		{"sub/here.txt", false, false},
		{"sub/deep/here.txt", false, true},
		{"a.txt", false, false},
		{".git", true, true},
		{"sub/.git", true, true},
		{".", true, false},
	}
	r := New(tree)
	for _, tt := range tests {
		got, err := r.Ignored(tt.name, tt.folder)
		if err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("Ignored(%q, %v) = %v, want %v", tt.name, tt.folder, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a/**/b", "[!a-]", "[", "[]", "[]]", "\\", "!", "/", "**", "a[b-a]c", "***/x"} {
		f.Add(s, "a/b/c")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		rules, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, k := range rules {
			k.match.MatchString(name)
		}
	})
}
