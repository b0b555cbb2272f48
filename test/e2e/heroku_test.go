package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestHeroku runs the official Heroku CLI against a platform whose engine is in
// memory.
func TestHeroku(t *testing.T) {
	program := needHeroku(t)
	p := start(t, "fake")
	p.env = append(p.env, "STEAD_HEROKU="+program)
	runScripts(t, p, "../scripts/heroku")
}

// needHeroku returns the CLI's program: $STEAD_HEROKU, else the one that
// .ci/run installs. Outside CI, the test is skipped without it.
func needHeroku(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the Heroku CLI is left out by -short")
	}
	program := os.Getenv("STEAD_HEROKU")
	if program == "" {
		program = filepath.Join(root, ".cache", "heroku", "node_modules", ".bin", "heroku")
	}
	if _, err := exec.LookPath(program); err != nil {
		skip := t.Skipf
		if os.Getenv("CI") == "true" {
			skip = t.Fatalf
		}
		skip("the Heroku CLI is not installed: npm install --prefix .cache/heroku heroku@11.10.0")
	}
	return program
}
