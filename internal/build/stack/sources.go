package stack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

var mirrorGrammar = regexp.MustCompile(`^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~-]+)*/(debian|debian-security)/?$`)

// sources returns the lines of a sources.list for the suite: the host's own
// mirrors of Debian where it has any, else the public ones; or the given one.
func sources(apt string) []string {
	mirror, security := "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
	for _, uri := range slices.Backward(hostMirrors()) {
		if strings.HasSuffix(strings.TrimSuffix(uri, "/"), "-security") {
			security = uri
		} else {
			mirror = uri
		}
	}
	if apt != "" {
		mirror = strings.TrimRight(apt, "/")
		if strings.HasSuffix(mirror, "/debian") {
			security = mirror + "-security"
		}
	}
	line := func(uri, suite string) string {
		return "deb [signed-by=" + keyring + "] " + uri + " " + suite + " main"
	}
	return []string{line(mirror, suite), line(mirror, suite+"-updates"), line(security, suite+"-security")}
}

// hostMirrors finds the Debian mirrors in the host's sources, in both formats
// (sources.list(5)).
func hostMirrors() (out []string) {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, f := range append([]string{"/etc/apt/sources.list"}, files...) {
		if e := filepath.Ext(f); e != ".list" && e != ".sources" {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, word := range strings.Fields(line) {
				if mirrorGrammar.MatchString(word) {
					out = append(out, word)
				}
			}
		}
	}
	return out
}
