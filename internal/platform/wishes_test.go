package platform

import (
	"slices"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// built pushes, and ends the build with what the source asks for.
func (w *world) built(app string, wish stead.Wishes, processes ...string) {
	w.t.Helper()
	w.push(app)
	job, err := w.ClaimBuild(w.system, "me", time.Hour)
	check(w.t, err)
	_, err = w.FinishBuild(w.system, job.Build.ID, "me", BuildOutcome{Pack: "go", Image: image(app, processes...), Wishes: wish}, nil)
	check(w.t, err)
}

func (w *world) process(app, t string) stead.Process {
	w.t.Helper()
	all, err := w.Processes(w.admin, app)
	check(w.t, err)
	p, err := find(all, t)
	check(w.t, err)
	return *p
}

// What a source asks for holds where nobody said anything else, and only there.
func TestWishesAreDefaults(t *testing.T) {
	w := newWorld(t)
	a := w.app("shop")
	_, _, err := w.SetConfig(w.admin, a.Name, map[string]*string{"SET": ptr("mine")})
	check(t, err)
	two := 2
	wish := stead.Wishes{
		Processes: map[string]stead.ProcessWish{"web": {Quantity: &two, Memory: 200 << 20, Path: "/up"}, "worker": {Quantity: &two, Size: "nano"}, "ghost": {Quantity: &two}},
		Config:    map[string]stead.ConfigWish{"SET": {Value: "theirs"}, "NEW": {Value: "default"}, "KEY": {Generate: true}, "ASK": {Required: true}},
		Routes:    []stead.RouteWish{{Path: "/api", Process: "worker"}, {Path: "/x", Process: "ghost"}},
	}
	w.built(a.Name, wish, "web", "worker")
	config, err := w.Config(w.admin, a.Name)
	check(t, err)
	if config["SET"] != "mine" || config["NEW"] != "default" || len(config["KEY"]) < 40 || len(config) != 3 {
		t.Errorf("config %v", config)
	}
	web, worker := w.process(a.Name, "web"), w.process(a.Name, "worker")
	if web.Quantity != 2 || web.Size != "basic" || web.Health.Path != "/up" || worker.Quantity != 2 || worker.Size != "nano" {
		t.Errorf("web %+v worker %+v", web, worker)
	}
	routes, err := w.Routes(w.admin, a.Name)
	check(t, err)
	if len(routes) != 2 {
		t.Errorf("routes %+v; want / and /api", routes)
	}
	if got := w.verbs("app.defaults"); len(got) != 1 {
		t.Errorf("events %v", got)
	}

	// The next push changes nothing of it.
	five, key := 5, config["KEY"]
	wish.Processes["web"], wish.Config["NEW"] = stead.ProcessWish{Quantity: &five}, stead.ConfigWish{Value: "other"}
	w.built(a.Name, wish, "web", "worker")
	config, err = w.Config(w.admin, a.Name)
	check(t, err)
	if config["NEW"] != "default" || config["KEY"] != key {
		t.Errorf("config after the second push %v", config)
	}
	if web := w.process(a.Name, "web"); web.Quantity != 2 {
		t.Errorf("web after the second push %+v", web)
	}
}

// What somebody scaled before the first push stays.
func TestWishesLeaveWhatIsSet(t *testing.T) {
	w := newWorld(t)
	a := w.app("shop")
	_, err := w.Scale(w.admin, a.Name, []stead.Scale{{Type: "web", Op: "=", Count: 4}})
	check(t, err)
	two := 2
	w.built(a.Name, stead.Wishes{Processes: map[string]stead.ProcessWish{"web": {Quantity: &two}}}, "web")
	if web := w.process(a.Name, "web"); web.Quantity != 4 {
		t.Errorf("web %+v", web)
	}
}

func TestSizeOf(t *testing.T) {
	for memory, want := range map[int64]string{1: "nano", 128 << 20: "nano", 129 << 20: "basic", 1 << 30: "standard-2x", 1 << 50: "performance-l"} {
		if got := sizeOf(stead.Sizes(), memory); got != want {
			t.Errorf("%d: %s, want %s", memory, got, want)
		}
	}
}

// The schedules that a source declares are those of its last build; people's own
// stay, and so does a pause.
func TestDeclaredSchedules(t *testing.T) {
	w := newWorld(t)
	a := w.app("shop")
	mine, err := w.AddSchedule(w.admin, a.Name, stead.NewSchedule{Cron: "1 1 * * *", Command: stead.Command{"mine"}})
	check(t, err)
	daily := stead.ScheduleWish{Cron: "@daily", Command: stead.Command{"nightly"}}
	w.built(a.Name, stead.Wishes{Schedules: []stead.ScheduleWish{daily, {Cron: "*/5 * * * *", Command: stead.Command{"tick"}}}}, "web")
	all, err := w.Schedules(w.admin, a.Name)
	check(t, err)
	at := slices.IndexFunc(all, func(s stead.Schedule) bool { return s.Command[0] == "nightly" })
	if len(all) != 3 || at < 0 || !all[at].Declared || all[at].NextAt == nil || all[0].Declared {
		t.Fatalf("schedules %+v", all)
	}
	paused := true
	_, err = w.UpdateSchedule(w.admin, a.Name, all[at].ID, stead.SchedulePatch{Paused: &paused})
	check(t, err)
	w.built(a.Name, stead.Wishes{Schedules: []stead.ScheduleWish{daily}}, "web")
	all, err = w.Schedules(w.admin, a.Name)
	check(t, err)
	if len(all) != 2 || all[0].ID != mine.ID || all[1].Command[0] != "nightly" || !all[1].Paused {
		t.Errorf("schedules after the second push %+v", all)
	}
}
