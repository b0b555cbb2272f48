package dockerfile

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

func TestDetect(t *testing.T) {
	detect := func(text string) (*plan.Detected, error) {
		return Pack{}.Detect(fstest.MapFS{"Dockerfile": {Data: []byte(text)}})
	}
	d, err := detect("# syntax=docker/dockerfile:1\nFROM scratch\nEXPOSE 8080\n")
	if err != nil || d.Frontend != "dockerfile.v0" || len(d.Notes) != 2 {
		t.Fatal(d, err)
	}
	if c, ok := d.Processes["web"]; !ok || c != nil {
		t.Error("web is not the image's own command")
	}
	if d.FrontendOpts["cmdline"] == "" {
		t.Error("a syntax line would fetch a frontend")
	}
	if _, err := detect("RUN x\n"); stead.KindOf(err) != stead.KindInvalid || err == nil {
		t.Error(err)
	}
	d, err = detect("FROM scratch\n" + strings.Repeat("EXPOSE \x1b[2J$(id)\n", 1000))
	if err != nil || len(d.Notes) != maxNotes || strings.Contains(strings.Join(d.Notes, ""), "\x1b") {
		t.Error(d, err)
	}
	if d, err := (Pack{}).Detect(fstest.MapFS{}); d != nil || err != nil {
		t.Error(d, err)
	}
}
