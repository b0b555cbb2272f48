package plan

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead/internal/build"
)

// Each mirror reaches the step, and a password none of the plan: only secrets hold it.
func TestMirrorPasswordsAreSecrets(t *testing.T) {
	const password = "pass-w0rd"
	m := build.Mirrors{build.MirrorGoSum: "off"}
	for _, name := range build.MirrorNames() {
		if name != build.MirrorGoSum {
			m[name] = "https://user:" + password + "@" + name + ".corp/x/"
		}
	}
	m[build.MirrorCrates] = "sparse+" + m[build.MirrorCrates]
	in := Inputs{Mirrors: m, Build: llb.Image("base")}
	def, err := in.Fetch(Archive{Title: "x", URL: "https://npm.corp/x/y.tgz"}).Run(Tool("a", "", "true"), in.Mirrored(build.MirrorNames()...)).Marshal(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	plan := ""
	for _, d := range def.Def {
		plan += string(d)
	}
	if strings.Contains(plan, password) {
		t.Error("the plan holds a mirror's password")
	}
	secrets := MirrorSecrets(m)
	for id, text := range secrets {
		if !strings.Contains(plan, id) {
			t.Errorf("no step asks for the secret %s", id)
		}
		if !strings.Contains(string(text), "corp") {
			t.Errorf("%s does not name the mirror: %s", id, text)
		}
	}
	for _, v := range MirrorVariables(m) {
		if strings.Contains(v, password) {
			t.Errorf("an open variable holds the password: %s", v)
		}
	}
	var x struct{ XMLName xml.Name }
	if err := xml.Unmarshal(secrets["stead.mirror.file.settings.xml"], &x); err != nil {
		t.Errorf("settings.xml: %v", err)
	}
	if err := xml.Unmarshal(secrets["stead.mirror.file.NuGet.Config"], &x); err != nil {
		t.Errorf("NuGet.Config: %v", err)
	}
	var v map[string]any
	if err := toml.Unmarshal(secrets["stead.mirror.file.config.toml"], &v); err != nil {
		t.Errorf("cargo: %v", err)
	}
	if err := json.Unmarshal(secrets["stead.mirror.file.auth.json"], &v); err != nil {
		t.Errorf("composer: %v", err)
	}
}
