// Package e2e runs the real programs as their users do: a platform of its own
// for each test, with its own data directory, ports and network.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// root is the module's folder.
var root = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// platform is a running platform.
type platform struct {
	dir    string // programs are in dir/bin, data in dir/d
	bin    string
	env    []string
	api    string // URL
	router string // host:port
	ssh    string // host:port
	domain string
	token  string
	admin  string
}

// parts are what the real engine needs besides this module.
var parts = []string{"containerd", "containerd-shim-runc-v2", "runc", "buildkitd"}

// needRealEngine skips, outside CI, where containers cannot be made.
func needRealEngine(t *testing.T) {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CI") == "true" {
		skip = t.Fatalf
	}
	if testing.Short() {
		t.Skip("the real engine is left out by -short")
	}
	if os.Geteuid() != 0 {
		skip("the real engine needs root")
	}
	for _, p := range parts {
		if _, err := os.Stat(filepath.Join(root, "bin", p)); err != nil {
			skip("bin/%s is not built: make build", p)
		}
	}
}

// start brings a platform up and removes all of it when the test ends.
func start(t *testing.T, engine string) *platform {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "st")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // instances pass through it
		t.Fatal(err)
	}
	p := &platform{dir: dir, bin: filepath.Join(dir, "bin"), domain: "stead.localhost", admin: "admin@example.com"}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.build(t)
	ports := freePorts(t, 4)
	addr := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	p.api, p.router, p.ssh = "http://"+addr(0), addr(1), addr(3)
	p.env = append(clean(os.Environ()), "PATH="+p.bin+":"+os.Getenv("PATH"),
		"STEAD_DATA="+filepath.Join(dir, "d"), "STEAD_DOMAIN="+p.domain, "STEAD_ENGINE="+engine, "STEAD_BIN="+filepath.Join(root, "bin"),
		"STEAD_API="+addr(0), "STEAD_HTTP="+addr(1), "STEAD_HTTPS="+addr(2), "STEAD_SSH="+addr(3), "STEAD_EGRESS_ALLOW=127.0.0.1/32")
	t.Cleanup(func() { p.purge(t) })
	p.steadd(t, "start")
	p.token = strings.TrimSpace(p.steadd(t, "token", p.admin))
	return p
}

// clean drops settings of another platform from the environment.
func clean(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "STEAD_") {
			out = append(out, kv)
		}
	}
	return out
}

func (p *platform) build(t *testing.T) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", p.bin+"/", "./cmd/stead", "./cmd/steadd")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
}

// steadd runs the daemon's program and returns what it printed.
func (p *platform) steadd(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "steadd"), args...)
	cmd.Env = p.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("steadd %s: %v\n%s%s\nthe control plane said:\n%s", strings.Join(args, " "), err, &out, &errs, p.tail("serve.log"))
		t.FailNow()
	}
	return out.String()
}

// tail is the end of one of the platform's own logs.
func (p *platform) tail(name string) string {
	data, _ := os.ReadFile(filepath.Join(p.dir, "d", "run", name))
	return string(data[max(0, len(data)-6000):])
}

func (p *platform) purge(t *testing.T) {
	if t.Failed() {
		t.Logf("the control plane said:\n%s\nthe router said:\n%s", p.tail("serve.log"), p.tail("router.log"))
	}
	cmd := exec.Command(filepath.Join(p.bin, "steadd"), "purge", "--yes")
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("purge: %v\n%s", err, out)
	}
}

// stead runs the CLI in dir, logged in by token.
func (p *platform) stead(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "stead"), args...)
	cmd.Dir = dir
	cmd.Env = p.userEnv()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// userEnv is the environment of a person who is logged in.
func (p *platform) userEnv() []string {
	return append(slices.Clip(p.env), "STEAD_URL="+p.api, "STEAD_TOKEN="+p.token, "STEAD_CONFIG_DIR="+filepath.Join(p.dir, "config"))
}

// request sends a GET through the router to an app's host.
func (p *platform) request(ctx context.Context, host, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.router+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	return http.DefaultClient.Do(req)
}

// freePorts finds loopback ports that nobody listens on.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
