package containerd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/steadpaas/stead/internal/engine/enginetest"
)

// Collection that never stops takes what is not to be kept, and never the image
// of a release that may be rolled back to, though nothing of it runs and
// instances come and go all the time. The registry is gone, so that an image
// that was taken could not come back unseen.
func TestCollectKeepsRollbackTargets(t *testing.T) {
	m := testMachine(t)
	o := m.fresh(t, testLogs(t))
	images := map[string]string{}
	for _, name := range []string{"now", "before", "old"} {
		images[name] = m.variant(t, name)
		w := webWorkload(images[name], "fetch-"+name, "web")
		apply(t, o, w)
		s := await(t, o, w.ID, "up", isUp)
		if err := o.Delete(t.Context(), w.ID); err != nil {
			t.Fatal(err)
		}
		for o.instance(s.Instance) != nil {
			pause(t.Context(), 5*time.Millisecond)
		}
	}
	m.registry.Close()
	ctx, stop := context.WithCancel(t.Context())
	collected := make(chan int64, 1)
	go func() {
		var sum int64
		for ctx.Err() == nil {
			freed, err := o.Collect(t.Context(), []string{images["now"], images["before"]})
			if err != nil {
				t.Error(err)
			}
			sum += freed
		}
		collected <- sum
	}()
	for n := range 6 {
		for _, name := range []string{"now", "before"} {
			w := webWorkload(images[name], fmt.Sprintf("roll-%s-%d", name, n), "web")
			apply(t, o, w)
			s := await(t, o, w.ID, "up", isUp)
			if err := get(s, "/"); err != nil {
				t.Errorf("rolled back to %s: %v", name, err)
			}
			if err := o.Delete(t.Context(), w.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	if freed := <-collected; freed == 0 {
		t.Error("nothing was collected")
	}
	all, err := o.containerd().ImageService().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range all {
		if strings.HasSuffix(img.Name, images["old"]) {
			t.Errorf("%s is still there", img.Name)
		}
	}
}

// variant is the test image with one layer more.
func (m *machine) variant(t *testing.T, name string) string {
	t.Helper()
	img, err := enginetest.TestImage(m.hold)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := random.Layer(1<<16, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		t.Fatal(err)
	}
	ref, err := enginetest.PushTestImage(t.Context(), m.host(), "apps/"+name, img)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
