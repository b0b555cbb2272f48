package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client/frames"
)

// need is what an operation asks of its caller.
type need int

const (
	needNothing  need = iota // open to anybody
	needLogin                // one's own things, or lists of what one can see
	needSelf                 // changes one's account: only by a token that may do everything
	needToken                // makes something no wider than the caller's token: not by a read token
	needOperator             // an administrator of the platform
	needRead                 // ActRead where the thing lives, and so on
	needSecret
	needWrite
	needAdmin
)

// needs classes every operation. A new one without a line here fails the test.
var needs = map[string]need{
	"Version": needNothing, "Login": needNothing,
	"Me": needLogin, "Tokens": needLogin, "SSHKeys": needLogin, "Orgs": needLogin, "Status": needLogin, "Explain": needLogin,
	"CreateToken": needToken, "RevokeToken": needSelf, "AddSSHKey": needSelf, "RemoveSSHKey": needSelf, "SetPassword": needSelf,
	"CreateOrg": needOperator, "Users": needOperator, "CreateUser": needOperator, "DeleteUser": needOperator,
	"Spaces": needRead, "Members": needRead, "CreateSpace": needAdmin, "SetMember": needAdmin, "RemoveMember": needAdmin,
	"Collaborators": needRead, "SetCollaborator": needAdmin, "RemoveCollaborator": needAdmin, "MoveApp": needAdmin,
	"Apps": needRead, "CreateApp": needWrite, "App": needRead, "AwaitApp": needRead, "UpdateApp": needWrite, "DestroyApp": needWrite,
	"Config": needSecret, "SetConfig": needWrite,
	"Processes": needRead, "Scale": needWrite, "UpdateProcess": needWrite, "Restart": needWrite, "Stop": needWrite, "Instances": needRead,
	"Authority": needNothing, "PlatformCertificates": needOperator,
	"Certificates": needRead, "Certificate": needRead, "AddCertificate": needWrite, "RenewCertificate": needWrite, "RemoveCertificate": needWrite,
	"UpdateDomain": needWrite,
	"Domains":      needRead, "AddDomain": needWrite, "RemoveDomain": needWrite,
	"Routes": needRead, "AddRoute": needWrite, "RemoveRoute": needWrite,
	"UpdateRoute": needWrite, "Pages": needRead, "SetPages": needWrite,
	"UploadSource": needWrite, "Push": needWrite, "Builds": needRead, "Build": needRead, "CancelBuild": needWrite, "BuildOutput": needRead,
	"Releases": needRead, "Release": needRead, "Rollback": needWrite, "ReleaseOutput": needRead, "Logs": needRead,
	"Run": needWrite, "Tasks": needRead, "Task": needRead, "StopTask": needWrite, "Attach": needWrite, "Exec": needWrite,
	"EventPage": needRead, "Events": needRead,
	"Pipelines": needRead, "CreatePipeline": needWrite, "Pipeline": needRead, "RenamePipeline": needWrite, "DestroyPipeline": needWrite,
	"SetPipelineApp": needWrite, "RemovePipelineApp": needWrite, "Promotions": needRead, "Promote": needWrite,
	"Schedules": needRead, "AddSchedule": needWrite, "UpdateSchedule": needWrite, "RemoveSchedule": needWrite,
	"Drains": needRead, "AddDrain": needWrite, "RemoveDrain": needWrite,
}

// caller is who asks: a role in the org, the scope of the token.
type caller struct {
	name  string
	role  stead.Role
	scope stead.Scope // "": no token at all
}

var callers = []caller{
	{"anonymous", stead.RoleNone, ""},
	{"auditor", stead.RoleAuditor, stead.ScopeAll},
	{"developer", stead.RoleDeveloper, stead.ScopeAll},
	{"admin", stead.RoleAdmin, stead.ScopeAll},
	{"read-token", stead.RoleAdmin, stead.ScopeRead},
	{"write-token", stead.RoleAdmin, stead.ScopeWrite},
	{"foreigner", stead.RoleNone, stead.ScopeAll},
}

// expected is the one rule: the status of a refusal, or 0 for none. What one
// may not see is not there; what one sees but may not do is forbidden.
func expected(n need, c caller) int {
	actor := stead.Actor{Scope: c.scope}
	switch {
	case n == needNothing:
		return 0
	case c.scope == "":
		return http.StatusUnauthorized
	case n == needLogin:
		return 0
	case n == needSelf && c.scope != stead.ScopeAll:
		return http.StatusForbidden
	case n == needToken && c.scope == stead.ScopeRead:
		return http.StatusForbidden
	case n == needSelf || n == needToken:
		return 0
	case n == needOperator:
		return http.StatusForbidden
	case !actor.May(stead.ActRead, c.role):
		return http.StatusNotFound
	case !actor.May(map[need]stead.Action{needRead: stead.ActRead, needSecret: stead.ActSecret,
		needWrite: stead.ActWrite, needAdmin: stead.ActAdmin}[n], c.role):
		return http.StatusForbidden
	}
	return 0
}

func TestAccess(t *testing.T) {
	s, mux := build(Config{})
	w := newWorld(t)
	w.h = New(Config{Platform: w.p})
	_ = mux
	for id, o := range operations(t, s) {
		n, ok := needs[id]
		if !ok {
			t.Errorf("operation %s has no line in the table of needs", id)
			continue
		}
		for _, c := range callers {
			t.Run(id+"/"+c.name, func(t *testing.T) {
				if want, got := expected(n, c), w.ask(t, o, c); !agrees(want, got) {
					t.Errorf("got %d, want %s", got, wanted(want))
				}
			})
		}
	}
	for id := range needs {
		if operations(t, s)[id] == nil {
			t.Errorf("the table of needs has %s, which is no operation", id)
		}
	}
}

// agrees compares; an allowed request may still fail for other reasons, and a
// stream that stays open was not refused (0).
func agrees(want, got int) bool {
	if want != 0 {
		return got == want
	}
	return got != http.StatusUnauthorized && got != http.StatusForbidden && got != http.StatusNotFound && got < 500
}

func wanted(status int) string {
	if status == 0 {
		return "no refusal"
	}
	return fmt.Sprint(status)
}

// place is where the caller asks: one tenant for all that changes nothing,
// because it reads or must be refused; else a fresh one, which it may destroy.
func (w *world) place(t *testing.T, o *huma.Operation, c caller) *tenant {
	t.Helper()
	if o.Method != http.MethodGet && expected(needs[o.OperationID], c) == 0 {
		return w.tenant(t, c)
	}
	if w.shared[c.name] == nil {
		w.shared[c.name] = w.tenant(t, c)
	}
	return w.shared[c.name]
}

// ask makes a valid request of the operation and returns the status; 0 when no answer came because it goes on.
func (w *world) ask(t *testing.T, o *huma.Operation, c caller) int {
	t.Helper()
	f := w.place(t, o, c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	if o.OperationID == "Attach" || o.OperationID == "Exec" {
		ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	}
	defer cancel()
	path := strings.NewReplacer("{app}", string(f.app.ID), "{number}", "1", "{version}", "1", "{task}", f.task.Name,
		"{process}", "web", "{host}", f.domain.Host, "{route}", string(f.route), "{user}", f.user(o), "{token}", string(f.other.ID),
		"{key}", string(f.key.ID), "{pipeline}", string(f.pipeline), "{drain}", string(f.drain), "{certificate}", string(f.cert), "{schedule}", string(f.schedule)).Replace(o.Path)
	body, kind := f.body(o)
	r := httptest.NewRequestWithContext(ctx, o.Method, path+f.query(o), strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if o.Responses["101"] != nil {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", frames.Protocol)
	}
	if f.token != "" {
		r.Header.Set("Authorization", "Bearer "+f.token)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	if ctx.Err() != nil {
		return 0
	}
	if o.Responses["101"] != nil && rec.Code >= 404 && !strings.Contains(rec.Body.String(), "that you can see") {
		return 0 // it was let in, and found nothing that runs
	}
	return rec.Code
}

func (f *tenant) user(o *huma.Operation) string {
	if o.OperationID == "SetPassword" {
		return f.email
	}
	return f.victim
}

func (f *tenant) query(o *huma.Operation) string {
	switch o.OperationID {
	case "Members", "Apps", "Spaces", "Pipelines":
		return "?org=" + f.org.Name
	case "RemoveMember":
		return "?org=" + f.org.Name + "&email=" + f.member
	case "RemoveCollaborator":
		return "?email=" + f.member
	case "EventPage", "Events":
		return "?app=" + string(f.app.ID)
	}
	return ""
}

func (f *tenant) body(o *huma.Operation) (body, kind string) {
	if o.OperationID == "UploadSource" {
		return "\x1f\x8b", "application/gzip"
	}
	fresh := "n" + strings.ReplaceAll(string(stead.NewID(time.Now()))[20:], "-", "")
	bodies := map[string]any{
		"Login":           map[string]string{"email": f.adminEmail, "password": password},
		"CreateToken":     stead.NewToken{Name: "x", Scope: stead.ScopeRead},
		"AddSSHKey":       map[string]string{"public_key": newKey()},
		"SetPassword":     map[string]string{"password": "another " + password},
		"CreateOrg":       map[string]string{"name": fresh},
		"CreateUser":      stead.NewUser{Email: fresh + "@example.com", Password: password},
		"CreateSpace":     map[string]string{"org": f.org.Name, "name": fresh},
		"SetCollaborator": map[string]any{"email": f.member, "role": stead.RoleAuditor}, "MoveApp": map[string]any{"org": f.org.Name},
		"SetMember":     map[string]any{"org": f.org.Name, "email": f.member, "role": stead.RoleAuditor},
		"CreateApp":     stead.NewApp{Name: fresh, Org: f.org.Name},
		"UpdateApp":     stead.AppPatch{Maintenance: new(true)},
		"SetConfig":     map[string]string{"GREETING": "hi"},
		"Scale":         map[string]any{"changes": []stead.Scale{{Type: "web", Op: "=", Count: 2}}},
		"UpdateProcess": stead.ProcessPatch{Size: new(stead.DefaultSize)},
		"Restart":       map[string]string{}, "Stop": map[string]string{}, "Rollback": map[string]int{"version": 1},
		"UpdateDomain": stead.DomainPatch{HTTPSRedirect: new("on")}, "AddCertificate": selfSigned(f.domain.Host),
		"AddDomain":   map[string]string{"host": fresh + ".example.com"},
		"AddRoute":    stead.NewRoute{Host: f.domain.Host, Path: "/" + fresh},
		"Push":        stead.Source{Kind: stead.SourceImage, Image: "docker.io/library/hello:1"},
		"Run":         stead.NewTask{Command: stead.Command{"true"}},
		"Exec":        stead.ExecCommand{Args: []string{"true"}},
		"UpdateRoute": stead.RoutePatch{StripPrefix: new(true)}, "SetPages": stead.Pages{Error: "<p>oh"},

		"AddSchedule": stead.NewSchedule{Cron: "@daily", Command: stead.Command{"true"}}, "UpdateSchedule": stead.SchedulePatch{Paused: new(true)},

		"AddDrain": stead.NewDrain{URL: "syslog://logs.example.com/" + fresh},

		"CreatePipeline": map[string]string{"org": f.org.Name, "name": fresh}, "RenamePipeline": map[string]string{"name": fresh},
		"SetPipelineApp": map[string]string{"stage": "production"}, "Promote": stead.NewPromotion{From: string(f.app.ID), To: []string{string(f.behind)}},
	}
	in, ok := bodies[o.OperationID]
	if !ok {
		return "", "application/json"
	}
	data, _ := json.Marshal(in) // plain structs
	return string(data), "application/json"
}
