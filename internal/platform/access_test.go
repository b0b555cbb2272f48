package platform

import (
	"bytes"
	"context"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/logs"
)

// scene is an app with one of everything, made anew for each attempt.
type scene struct {
	*world
	app     stead.App
	release stead.Release
	build   stead.Build
	task    stead.Task
	route   stead.Route
	drain   stead.Drain
	sched   stead.Schedule
}

func newScene(t *testing.T, w *world, name string) *scene {
	t.Helper()
	s := &scene{world: w, app: w.app(name)}
	w.live(name, "web", "worker")
	s.release = w.live(name, "web", "worker")
	_, err := w.AddDomain(w.admin, name, name+".example.com")
	check(t, err)
	_, err = w.AddCertificate(w.admin, name, brought(name+".example.com"))
	check(t, err)
	check(t, w.OrderCertificate(w.system, s.app.ID, name+".example.com", []string{name + ".example.com"}))
	s.route, err = w.AddRoute(w.admin, name, stead.Route{Path: "/api"})
	check(t, err)
	s.task, err = w.Run(w.admin, name, NewTask{Command: stead.Command{"true"}})
	check(t, err)
	s.build = w.push(name)
	s.drain, err = w.AddDrain(w.admin, name, stead.NewDrain{URL: "https://logs.example.com/"})
	check(t, err)
	s.sched, err = w.AddSchedule(w.admin, name, stead.NewSchedule{Cron: "@yearly", Command: stead.Command{"true"}})
	check(t, err)
	return s
}

// attempt calls a use-case on the scene's app as whom the context says.
type attempt struct {
	act  stead.Action
	call func(ctx context.Context, s *scene) error
}

// appUseCases are all use-cases that take an app's reference, and what they need.
var appUseCases = map[string]attempt{
	"App": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.App(ctx, s.app.Name); return err }},
	"UpdateApp": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UpdateApp(ctx, s.app.Name, AppPatch{Maintenance: ptr(true)})
		return err
	}},
	"DestroyApp": {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.DestroyApp(ctx, s.app.Name) }},
	"Config":     {stead.ActSecret, func(ctx context.Context, s *scene) error { _, err := s.Platform.Config(ctx, s.app.Name); return err }},
	"SetConfig": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, _, err := s.SetConfig(ctx, s.app.Name, map[string]*string{"A": ptr("1")})
		return err
	}},
	"ReleaseConfig": {stead.ActSecret, func(ctx context.Context, s *scene) error {
		_, err := s.ReleaseConfig(ctx, s.app.Name, 1)
		return err
	}},
	"Authorize": {stead.ActSecret, func(ctx context.Context, s *scene) error {
		_, err := s.Authorize(ctx, s.app.Name, stead.ActSecret)
		return err
	}},
	"Collaborators": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Collaborators(ctx, s.app.Name); return err }},
	"SetCollaborator": {stead.ActAdmin, func(ctx context.Context, s *scene) error {
		_, err := s.SetCollaborator(ctx, s.app.Name, adminEmail, stead.RoleAuditor)
		return err
	}},
	"RemoveCollaborator": {stead.ActAdmin, func(ctx context.Context, s *scene) error {
		_, err := s.SetCollaborator(s.admin, s.app.Name, adminEmail, stead.RoleAuditor)
		check(s.t, err)
		return s.RemoveCollaborator(ctx, s.app.Name, adminEmail)
	}},
	"MoveApp": {stead.ActAdmin, func(ctx context.Context, s *scene) error {
		_, err := s.MoveApp(ctx, s.app.Name, "", "")
		return err
	}},
	"Processes": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Processes(ctx, s.app.Name); return err }},
	"Scale": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.Scale(ctx, s.app.Name, []stead.Scale{{Type: "web", Op: "=", Count: 2}})
		return err
	}},
	"UpdateProcess": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UpdateProcess(ctx, s.app.Name, "web", ProcessPatch{Path: ptr("/up")})
		return err
	}},
	"Restart":   {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.Restart(ctx, s.app.Name, "") }},
	"Stop":      {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.Stop(ctx, s.app.Name, "") }},
	"Instances": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Instances(ctx, s.app.Name); return err }},
	"Domains":   {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Domains(ctx, s.app.Name); return err }},
	"AddDomain": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AddDomain(ctx, s.app.Name, "x"+s.app.Name+".example.org")
		return err
	}},
	"RemoveDomain": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		return s.RemoveDomain(ctx, s.app.Name, s.app.Name+".example.com")
	}},
	"Routes": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Routes(ctx, s.app.Name); return err }},
	"AddRoute": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AddRoute(ctx, s.app.Name, stead.Route{Path: "/x"})
		return err
	}},
	"UpdateRoute": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UpdateRoute(ctx, s.app.Name, s.route.ID, stead.RoutePatch{})
		return err
	}},
	"Pages":       {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Pages(ctx, s.app.Name); return err }},
	"SetPages":    {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.SetPages(ctx, s.app.Name, stead.Pages{}) }},
	"RemoveRoute": {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.RemoveRoute(ctx, s.app.Name, s.route.ID) }},
	"UploadSource": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UploadSource(ctx, s.app.Name, bytes.NewReader([]byte("x")))
		return err
	}},
	"Push": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.Push(ctx, s.app.Name, stead.Source{Kind: stead.SourceImage, Image: "docker.io/library/nginx"})
		return err
	}},
	"Builds": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Builds(ctx, s.app.Name); return err }},
	"Build":  {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Build(ctx, s.app.Name, 1); return err }},
	"CancelBuild": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.CancelBuild(ctx, s.app.Name, s.build.Number)
		return err
	}},
	"AwaitApp": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.AwaitApp(ctx, s.app.Name, StageRouted, time.Millisecond)
		return err
	}},
	"Releases": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Releases(ctx, s.app.Name); return err }},
	"Release":  {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Release(ctx, s.app.Name, 1); return err }},
	"Rollback": {stead.ActWrite, func(ctx context.Context, s *scene) error { _, err := s.Rollback(ctx, s.app.Name, 1); return err }},
	"BuildOutput": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.BuildOutput(ctx, s.app.Name, 1, false)
		return err
	}},
	"ReleaseOutput": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.ReleaseOutput(ctx, s.app.Name, 1, false)
		return err
	}},
	"Logs": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.Logs(ctx, s.app.Name, logs.Query{Num: 1})
		return err
	}},
	"Run": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.Run(ctx, s.app.Name, NewTask{Command: stead.Command{"ls"}})
		return err
	}},
	"Tasks":    {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Tasks(ctx, s.app.Name); return err }},
	"Task":     {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Task(ctx, s.app.Name, s.task.Name); return err }},
	"StopTask": {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.StopTask(ctx, s.app.Name, s.task.Name) }},
	"AttachTask": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AttachTask(ctx, s.app.Name, s.task.Name, engine.Streams{})
		return past(err)
	}},
	"Exec": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.Exec(ctx, s.app.Name, "", engine.Command{Args: []string{"ls"}}, engine.Streams{Stdout: io.Discard})
		return past(err)
	}},
	"Events": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.Events(ctx, EventQuery{App: s.app.Name})
		return err
	}},
	"Certificates": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.Platform.Certificates(ctx, s.app.Name)
		return err
	}},
	"Certificate": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.Certificate(ctx, s.app.Name, s.app.Name+".example.com")
		return err
	}},
	"AddCertificate": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AddCertificate(ctx, s.app.Name, brought(s.app.Name+".example.com"))
		return err
	}},
	"RenewCertificate": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.RenewCertificate(ctx, s.app.Name, s.app.Name+".example.com")
		return past(err)
	}},
	"RemoveCertificate": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		return s.RemoveCertificate(ctx, s.app.Name, s.app.Name+".example.com")
	}},
	"UpdateDomain": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UpdateDomain(ctx, s.app.Name, s.app.Name+".example.com", stead.DomainPatch{HTTPSRedirect: ptr("on")})
		return err
	}},
	"Drains": {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Drains(ctx, s.app.Name); return err }},
	"AddDrain": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AddDrain(ctx, s.app.Name, stead.NewDrain{URL: "syslog://logs.example.com"})
		return err
	}},
	"RemoveDrain": {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.RemoveDrain(ctx, s.app.Name, string(s.drain.ID)) }},
	"Schedules":   {stead.ActRead, func(ctx context.Context, s *scene) error { _, err := s.Schedules(ctx, s.app.Name); return err }},
	"AddSchedule": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.AddSchedule(ctx, s.app.Name, stead.NewSchedule{Cron: "@daily", Command: stead.Command{"true"}})
		return err
	}},
	"UpdateSchedule": {stead.ActWrite, func(ctx context.Context, s *scene) error {
		_, err := s.UpdateSchedule(ctx, s.app.Name, s.sched.ID, stead.SchedulePatch{Paused: ptr(true)})
		return err
	}},
	"RemoveSchedule": {stead.ActWrite, func(ctx context.Context, s *scene) error { return s.RemoveSchedule(ctx, s.app.Name, s.sched.ID) }},
	"AuthorizeRepository": {stead.ActRead, func(ctx context.Context, s *scene) error {
		_, err := s.AuthorizeRepository(ctx, "apps/"+string(s.app.ID), false)
		return err
	}},
}

// past counts a precondition as access: it is told only to who may act.
func past(err error) error {
	if stead.KindOf(err) == stead.KindPrecondition && err != nil {
		return nil
	}
	return err
}

// systemUseCases are for the loops only.
var systemUseCases = map[string]func(ctx context.Context, s *scene) error{
	"Intents":    func(ctx context.Context, s *scene) error { _, err := s.Intents(ctx); return err },
	"ClaimBuild": func(ctx context.Context, s *scene) error { _, err := s.ClaimBuild(ctx, "x", time.Minute); return err },
	"KeepBuild":  func(ctx context.Context, s *scene) error { return s.KeepBuild(ctx, s.build.ID, "", time.Minute) },
	"FinishBuild": func(ctx context.Context, s *scene) error {
		_, err := s.FinishBuild(ctx, s.build.ID, "", BuildOutcome{}, nil)
		return err
	},
	"MarkRelease": func(ctx context.Context, s *scene) error {
		return s.MarkRelease(ctx, s.release.ID, stead.ReleaseRolling)
	},
	"ReleaseLive":       func(ctx context.Context, s *scene) error { return s.ReleaseLive(ctx, s.release.ID) },
	"ReleaseFailed":     func(ctx context.Context, s *scene) error { return s.ReleaseFailed(ctx, s.release.ID, "x") },
	"ForgetApp":         func(ctx context.Context, s *scene) error { return s.ForgetApp(ctx, s.app.ID) },
	"ReportInstances":   func(ctx context.Context, s *scene) error { return s.ReportInstances(ctx, s.app.ID, nil) },
	"ReportDone":        func(ctx context.Context, s *scene) error { return s.ReportDone(ctx, s.app.ID, 1, 1) },
	"OpenTasks":         func(ctx context.Context, s *scene) error { _, err := s.OpenTasks(ctx); return err },
	"ReleaseTask":       func(ctx context.Context, s *scene) error { _, err := s.ReleaseTask(ctx, s.release.ID); return err },
	"StartTask":         func(ctx context.Context, s *scene) error { return s.StartTask(ctx, s.task.ID) },
	"FinishTask":        func(ctx context.Context, s *scene) error { return s.FinishTask(ctx, s.task.ID, nil, "x") },
	"OpenDrains":        func(ctx context.Context, s *scene) error { _, err := s.OpenDrains(ctx); return err },
	"ReportDrain":       func(ctx context.Context, s *scene) error { return s.ReportDrain(ctx, s.drain.ID, logs.DrainReport{}) },
	"RunDue":            func(ctx context.Context, s *scene) error { _, err := s.RunDue(ctx); return err },
	"Idlers":            func(ctx context.Context, s *scene) error { _, err := s.Idlers(ctx); return err },
	"Sleep":             func(ctx context.Context, s *scene) error { return s.Sleep(ctx, s.app.ID) },
	"Wake":              func(ctx context.Context, s *scene) error { return s.Wake(ctx, s.app.ID) },
	"KeptImages":        func(ctx context.Context, s *scene) error { _, err := s.KeptImages(ctx); return err },
	"TLSRevision":       func(ctx context.Context, s *scene) error { _, err := s.TLSRevision(ctx); return err },
	"TLSState":          func(ctx context.Context, s *scene) error { _, err := s.TLSState(ctx); return err },
	"InternalAuthority": func(ctx context.Context, s *scene) error { _, err := s.InternalAuthority(ctx); return err },
	"OrderCertificate":  func(ctx context.Context, s *scene) error { return s.OrderCertificate(ctx, s.app.ID, "x.test", nil) },
	"DropCertificate":   func(ctx context.Context, s *scene) error { return s.DropCertificate(ctx, "x") },
	"ClaimCertificate": func(ctx context.Context, s *scene) error {
		_, err := s.ClaimCertificate(ctx, "x", time.Minute)
		return err
	},
	"FinishCertificate": func(ctx context.Context, s *scene) error {
		return s.FinishCertificate(ctx, "x", "x", cert.Pair{}, nil)
	},
	"SaveStaple": func(ctx context.Context, s *scene) error { return s.SaveStaple(ctx, "x", "", nil, time.Now()) },
	"PresentChallenge": func(ctx context.Context, s *scene) error {
		return s.PresentChallenge(ctx, cert.Challenge{Host: "x.test"})
	},
	"RemoveChallenge": func(ctx context.Context, s *scene) error {
		return s.RemoveChallenge(ctx, cert.Challenge{Host: "x.test"})
	},
	"ACMEAccount": func(ctx context.Context, s *scene) error {
		_, err := s.ACMEAccount(ctx, "x", func() (cert.Account, error) { return cert.Account{}, nil })
		return err
	},
}

// otherUseCases take no app; their access is tested in people_test.go, that of
// pipelines in pipelines_test.go.
var otherUseCases = []string{"Bootstrap", "Explain", "Login", "Authenticate", "AuthenticateKey", "Me", "Users", "CreateUser", "DeleteUser",
	"SetPassword", "Tokens", "CreateToken", "RevokeToken", "SSHKeys", "AddSSHKey", "RemoveSSHKey", "Orgs", "CreateOrg", "Spaces",
	"CreateSpace", "Members", "SetMember", "RemoveMember", "CreateApp", "Apps", "AddCheck", "Status", "Wakes", "RotateKeys",
	"Authority", "PlatformCertificates",
	"UpdateMe", "ConfirmPassword", "RenameToken", "ReplaceToken", "Regions", "Sizes",
	"Pipelines", "Pipeline", "CreatePipeline", "RenamePipeline", "DestroyPipeline", "SetPipelineApp", "RemovePipelineApp",
	"Promote", "Promotions", "Promotion"}

// TestEveryUseCaseIsListed fails when a use-case is added without saying who
// may call it.
func TestEveryUseCaseIsListed(t *testing.T) {
	typ := reflect.TypeFor[*Platform]()
	for i := range typ.NumMethod() {
		name := typ.Method(i).Name
		_, app := appUseCases[name]
		_, system := systemUseCases[name]
		if !app && !system && !slices.Contains(otherUseCases, name) {
			t.Errorf("%s is in no access table", name)
		}
	}
	if n := len(appUseCases) + len(systemUseCases) + len(otherUseCases); n != typ.NumMethod() {
		t.Errorf("the tables list %d use-cases, there are %d", n, typ.NumMethod())
	}
}

// TestAccess tries every use-case on an app as everybody.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	people := map[string]context.Context{"none": w.person("none@example.com"), "foreign": w.person("foreign@example.com")}
	roles := map[string]stead.Role{"none": "", "foreign": ""}
	for _, r := range []stead.Role{stead.RoleAuditor, stead.RoleDeveloper, stead.RoleAdmin} {
		email := string(r) + "@example.com"
		people[string(r)], roles[string(r)] = w.person(email), r
		_, err := w.SetMember(w.admin, "default", "", email, r)
		check(t, err)
		people["space "+string(r)], roles["space "+string(r)] = w.person("space"+email), r
		_, err = w.SetMember(w.admin, "default", "default", "space"+email, r)
		check(t, err)
		narrow := stead.ActorFrom(people[string(r)])
		narrow.Scope = stead.ScopeRead
		people["read token of "+string(r)], roles["read token of "+string(r)] = stead.WithActor(t.Context(), narrow), r
	}
	_, err := w.CreateOrg(w.admin, "other")
	check(t, err)
	_, err = w.SetMember(w.admin, "other", "", "foreign@example.com", stead.RoleAdmin)
	check(t, err)
	people["platform admin"], roles["platform admin"] = w.admin, stead.RoleNone
	people["nobody"], roles["nobody"] = t.Context(), stead.RoleNone
	n := 0
	for name, u := range appUseCases {
		s := newScene(t, w, "app-"+string(rune('a'+n/26))+string(rune('a'+n%26)))
		n++
		for _, who := range slices.Sorted(mapsKeys(people)) {
			if n := u.act; n == stead.ActWrite && stead.ActorFrom(people[who]).May(n, roles[who]) {
				continue // it changes the scene: last
			}
			s.try(name, who, people[who], roles[who], u)
		}
		s.try(name, "developer", people["developer"], stead.RoleDeveloper, u)
	}
	s := newScene(t, w, "hello")
	for name, call := range systemUseCases {
		for who, ctx := range people {
			if err := call(ctx, s); stead.KindOf(err) != stead.KindForbidden && !(who == "nobody" && stead.KindOf(err) == stead.KindUnauthenticated) {
				t.Errorf("%s as %s: %v", name, who, err)
			}
		}
	}
}

func (s *scene) try(name, who string, ctx context.Context, role stead.Role, u attempt) {
	s.t.Helper()
	a, err := stead.ActorFrom(ctx), u.call(ctx, s)
	switch {
	case who == "nobody":
		wantKind(s.t, name+" as nobody", err, stead.KindUnauthenticated)
	case a.May(u.act, role):
		if err != nil {
			s.t.Errorf("%s as %s: %v", name, who, err)
		}
	case a.May(stead.ActRead, role):
		wantKind(s.t, name+" as "+who, err, stead.KindForbidden)
	default:
		wantKind(s.t, name+" as "+who, err, stead.KindNotFound)
	}
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestEveryChangeHasAnEvent calls each use-case that writes, and looks for its
// event in the trail.
func TestEveryChangeHasAnEvent(t *testing.T) {
	w := newWorld(t)
	n := 0
	for name, u := range appUseCases {
		if u.act != stead.ActWrite || name == "AttachTask" || name == "Exec" { // those are tested with an engine
			continue
		}
		s := newScene(t, w, "ev-"+string(rune('a'+n/26))+string(rune('a'+n%26)))
		n++
		seq, err := w.Events(w.admin, EventQuery{Limit: 1})
		check(t, err)
		var last stead.ID
		for e := range seq {
			last = e.ID
		}
		check(t, u.call(w.admin, s))
		after, err := w.Events(w.admin, EventQuery{After: last, App: s.app.Name})
		if name == "DestroyApp" {
			after, err = w.Events(w.admin, EventQuery{After: last})
		}
		check(t, err)
		got := 0
		for e := range after {
			got++
			if e.Actor != adminEmail || e.AppID != s.app.ID {
				t.Errorf("%s: event %+v", name, e)
			}
		}
		if got == 0 {
			t.Errorf("%s wrote no event", name)
		}
	}
}

func TestEventsAreNotSeenByStrangers(t *testing.T) {
	w := newWorld(t)
	w.app("hello")
	w.live("hello", "web")
	stranger := w.person("eve@example.com")
	seq, err := w.Events(stranger, EventQuery{})
	check(t, err)
	for e := range seq {
		t.Errorf("a stranger sees %+v", e)
	}
}
