package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steadpaas/stead"
)

func TestSettingsOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "steadd.conf")
	if err := os.WriteFile(file, []byte("# apps\nSTEAD_DOMAIN=file.example.com\nSTEAD_BUILDS=5\nSTEAD_OFFLINE=true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"STEAD_BUILDS": "7"}
	c := Defaults()
	if err := c.load(file, func(k string) string { return env[k] }); err != nil {
		t.Fatal(err)
	}
	if c.Domain != "file.example.com" || c.Builds != 7 || !c.Offline || c.API != Defaults().API {
		t.Errorf("got %+v", c)
	}
	for name, text := range map[string]string{"unknown": "STEAD_COLOUR=blue", "no value": "STEAD_DOMAIN", "no number": "STEAD_BUILDS=many", "not a setting": "PATH=/"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := Defaults()
		if err := c.load(file, func(string) string { return "" }); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"domain": func(c *Config) { c.Domain = "http://x" }, "address": func(c *Config) { c.API = "7800" },
		"http off": func(c *Config) { c.HTTP = "off" }, "engine": func(c *Config) { c.Engine = "podman" },
		"subnets": func(c *Config) { c.Subnets = "10.0.0.0/30" }, "long data": func(c *Config) { c.Data = "/" + strings.Repeat("x", 80) },
	} {
		c := Defaults()
		change(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := Defaults()
	c.SSH, c.HTTPS = "off", "off"
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestURLs(t *testing.T) {
	c := Defaults()
	if got := c.appURL("a.example.com"); got != "http://a.example.com:8080" {
		t.Error(got)
	}
	c.HTTP = ":80"
	if got := c.appURL("a.example.com"); got != "http://a.example.com" {
		t.Error(got)
	}
	if got := c.apiURL() + " " + c.sshHost(); got != "http://127.0.0.1:7800 127.0.0.1:2222" {
		t.Error(got)
	}
	c.PublicURL = "https://stead.example.com/"
	if got := c.apiURL() + " " + c.sshHost(); got != "https://stead.example.com stead.example.com:2222" {
		t.Error(got)
	}
	other := Defaults()
	other.Data = "/srv/other"
	if c.id() == other.id() || len(c.id()) > 6 {
		t.Errorf("ids %s and %s", c.id(), other.id())
	}
}
