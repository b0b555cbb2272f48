package platform

import (
	"fmt"
	"testing"
	"time"

	"github.com/steadpaas/stead"
)

// TestIntentsOfManyApps looks at 50 live apps, as the loops do on each wake; it
// logs what a look costs and fails only if that is out of all proportion.
func TestIntentsOfManyApps(t *testing.T) {
	w := newWorld(t)
	for i := range 50 {
		name := fmt.Sprintf("app-%d", i)
		w.app(name)
		_, _, err := w.SetConfig(w.admin, name, map[string]*string{"A": ptr("1"), "B": ptr("2")})
		check(t, err)
		w.live(name, "web", "worker")
	}
	start, rounds := time.Now(), 20
	var all []Intent
	for range rounds {
		var err error
		all, err = w.Intents(w.system)
		check(t, err)
	}
	took := time.Since(start) / time.Duration(rounds)
	t.Logf("intents of %d apps: %v", len(all), took)
	if len(all) != 50 || all[0].Live == nil || all[0].Live.State != stead.ReleaseLive || took > 2*time.Second {
		t.Errorf("%d intents in %v", len(all), took)
	}
}
