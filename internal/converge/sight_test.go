package converge

import (
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/platform"
)

// TestLateSight has an engine tell all it has just after a turn has looked:
// that turn must neither publish a table nor plan, as its apps look dead.
func TestLateSight(t *testing.T) {
	l := New(Deps{Engines: map[string]engine.Engine{"default": nil}})
	app := stead.App{ID: stead.NewID(time.Now()), Name: "hello", Region: "default"}
	turned := &turn{known: true, apps: []*appTurn{{in: platform.Intent{App: app}, mem: l.mem.app(app.ID)}}}
	l.look(turned)
	l.seen.replace("default", map[string]engine.Status{})
	l.route(turned)
	if l.mem.router.want != nil || turned.seen["default"] {
		t.Error("a turn judged by what it had not seen")
	}
	l.look(turned)
	l.route(turned)
	if l.mem.router.want == nil {
		t.Error("the next turn published no table")
	}
}
