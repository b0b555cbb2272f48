package stead

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewID(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_123)
	a, b := NewID(now), NewID(now.Add(time.Millisecond))
	if !IsID(string(a)) || a[14] != '7' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Errorf("%s is not a UUID of version 7", a)
	}
	if a >= b {
		t.Errorf("%s was made before %s but sorts behind it", a, b)
	}
	if IsID("hello") {
		t.Error("a name passes for an ID")
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"hello": true, "my-app-2": true, "a": true, strings.Repeat("a", MaxName): true,
		"": false, "Hello": false, "2nd": false, "-a": false, "a-": false, "a--b": false, "a_b": false, "a.b": false,
		"a;rm -rf": false, "../x": false, "a\n": false, "ä": false, strings.Repeat("a", MaxName+1): false,
	} {
		if err := CheckName("name", name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	for k := KindInternal; k <= KindUnavailable; k++ {
		if got := ParseKind(k.String()); got != k {
			t.Errorf("ParseKind(%q) = %v", k, got)
		}
	}
	if ParseKind("nonsense") != KindInternal {
		t.Error("an unknown kind is not internal")
	}
	cause := errors.New("disk on fire")
	err := fmt.Errorf("save: %w", &Error{Kind: KindLimit, Msg: "full", Err: cause})
	if KindOf(err) != KindLimit || !errors.Is(err, cause) || KindOf(cause) != KindInternal || KindOf(nil) != KindInternal {
		t.Errorf("KindOf(%v) = %v", err, KindOf(err))
	}
}

func TestMay(t *testing.T) {
	all := []Action{ActRead, ActSecret, ActWrite, ActAdmin}
	tests := []struct {
		name  string
		actor Actor
		role  Role
		may   []Action
	}{
		{"nobody", Actor{}, RoleAdmin, nil},
		{"no role", Actor{Scope: ScopeAll}, RoleNone, nil},
		{"auditor", Actor{Scope: ScopeAll}, RoleAuditor, []Action{ActRead}},
		{"developer", Actor{Scope: ScopeAll}, RoleDeveloper, []Action{ActRead, ActSecret, ActWrite}},
		{"admin", Actor{Scope: ScopeAll}, RoleAdmin, all},
		{"admin's reading token", Actor{Scope: ScopeRead}, RoleAdmin, []Action{ActRead}},
		{"admin's writing token", Actor{Scope: ScopeWrite}, RoleAdmin, []Action{ActRead, ActSecret, ActWrite}},
		{"operator", Actor{Scope: ScopeAll, Admin: true}, RoleNone, all},
		{"operator's reading token", Actor{Scope: ScopeRead, Admin: true}, RoleNone, []Action{ActRead}},
	}
	for _, tt := range tests {
		for _, act := range all {
			if got, want := tt.actor.May(act, tt.role), slices.Contains(tt.may, act); got != want {
				t.Errorf("%s: May(%d) = %v, want %v", tt.name, act, got, want)
			}
		}
	}
	if MaxRole(RoleAuditor, RoleAdmin) != RoleAdmin || MaxRole(RoleDeveloper, RoleNone) != RoleDeveloper {
		t.Error("MaxRole is not the larger role")
	}
}

func TestConfigCheck(t *testing.T) {
	for key, ok := range map[string]bool{"A": true, "DATABASE_URL": true, "_x1": true, "": false, "1A": false, "A B": false, "A;B": false,
		"A=B": false, "$(id)": false, "PORT": false, "STEAD_APP": false} {
		if err := (Config{key: "v"}).Check(); (err == nil) != ok {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if (Config{"A": "a\x00b"}).Check() == nil {
		t.Error("a NUL byte passes")
	}
	if (Config{"A": strings.Repeat("x", MaxConfig)}).Check() == nil {
		t.Error("a config over the limit passes")
	}
}

func TestHostsAndPaths(t *testing.T) {
	for host, ok := range map[string]bool{"www.example.com": true, "*.example.com": true, "a.b": true, "localhost": false, "a..b": false,
		"-a.b": false, "a.b:80": false, "http://a.b": false, "A.b": false, "*.*.b.c": false, "": false, strings.Repeat("a.", 130) + "b": false} {
		if err := CheckHost("host", host); (err == nil) != ok {
			t.Errorf("CheckHost(%q) = %v", host, err)
		}
	}
	for path, ok := range map[string]bool{"/": true, "/api": true, "/a/b-c_d": true, "": false, "api": false, "/a//b": false, "/../x": false,
		"/a?b": false, "/a b": false, "/a\r\nX: y": false, "/%2e": false} {
		if err := CheckPath("path", path); (err == nil) != ok {
			t.Errorf("CheckPath(%q) = %v", path, err)
		}
	}
}

func TestScale(t *testing.T) {
	tests := []struct {
		text string
		from int
		want int
		ok   bool
	}{
		{"web=3", 1, 3, true}, {"web+1", 2, 3, true}, {"web-1", 2, 1, true}, {"worker=2:standard-2x", 0, 2, true},
		{"my-worker=2", 0, 2, true}, {"my-worker-1", 2, 1, true}, {"web=0", 5, 0, true},
		{"web", 0, 0, false}, {"web=", 0, 0, false}, {"web=x", 0, 0, false}, {"=3", 0, 0, false}, {"Web=3", 0, 0, false},
		{"web=99999999999999999999", 0, 0, false}, {"web-3", 2, 0, false}, {"web=501", 0, 0, false}, {"web=1;id", 0, 0, false},
	}
	for _, tt := range tests {
		s, err := ParseScale(tt.text)
		got := 0
		if err == nil {
			got, err = s.Apply(tt.from)
		}
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%s from %d = %d, %v", tt.text, tt.from, got, err)
		}
	}
	s, err := ParseScale("worker=2:standard-2x")
	if err != nil || s != (Scale{Type: "worker", Op: "=", Count: 2, Size: "standard-2x"}) {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := FindSize(Sizes(), "huge"); err == nil || !strings.Contains(err.(*Error).Hint, DefaultSize) {
		t.Errorf("an unknown size does not name the known ones: %v", err)
	}
}

func TestParseProcfile(t *testing.T) {
	got, err := ParseProcfile([]byte("\ufeff# comment\r\nweb: ./server --port $PORT\r\n\nworker:  ./work | tee log  \nrelease: ./migrate"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"web": "./server --port $PORT", "worker": "./work | tee log", "release": "./migrate"}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for name, line := range want {
		if !slices.Equal(got[name], Shell(line)) {
			t.Errorf("%s: %q, want %q", name, got[name], Shell(line))
		}
	}
	for name, text := range map[string]string{
		"no colon": "web ./server", "no command": "web:", "twice": "web: a\nweb: b", "reserved": "run: a", "upper case": "Web: a",
		"hostile type": "../x: a", "NUL": "web: a\x00b", "too large": "web: " + strings.Repeat("x", 65<<10),
		"too many": func() (s string) {
			for i := range 60 {
				s += fmt.Sprintf("p%d: x\n", i)
			}
			return s
		}(),
	} {
		if _, err := ParseProcfile([]byte(text)); KindOf(err) != KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseProcfile(f *testing.F) {
	f.Add([]byte("web: ./a\nworker: b"))
	f.Add([]byte("# x\n\nweb:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseProcfile(data)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Hint == "" {
				t.Fatalf("an error without what to try: %v", err)
			}
			return
		}
		for name, c := range got {
			if CheckProcessType("", name) != nil || len(c) != 3 || c[2] == "" {
				t.Fatalf("%q: %q", name, c)
			}
		}
	})
}

func TestStates(t *testing.T) {
	for _, s := range []BuildState{BuildSucceeded, BuildFailed, BuildCanceled} {
		if !s.Done() {
			t.Errorf("%s is not done", s)
		}
	}
	for _, s := range []ReleaseState{ReleasePending, ReleaseReleasing, ReleaseRolling} {
		if s.Done() {
			t.Errorf("%s is done", s)
		}
	}
	if TaskRunning.Done() || !TaskFailed.Done() || BuildRunning.Done() {
		t.Error("states of tasks and builds are mixed up")
	}
}
