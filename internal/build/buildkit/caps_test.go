package buildkit

import (
	"archive/tar"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
)

// refusal is what a build that must fail failed with.
func refusal(t *testing.T, m *machine, change func(*build.Request)) *stead.Error {
	t.Helper()
	req, _ := request(t, stead.NewID(time.Now()), map[string]string{"x": "x"})
	if change != nil {
		change(&req)
	}
	_, err := m.Build(t.Context(), req)
	e, ok := err.(*stead.Error)
	if !ok {
		t.Fatalf("the build ended with %v", err)
	}
	t.Logf("reason: %s; %s", e.Msg, e.Hint)
	return e
}

// Builds that take without end are ended, the reason says by which cap, and
// the daemon goes on.
func TestCaps(t *testing.T) {
	m := openWithRegistry(t, nil)
	if _, err := m.Stacks(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		script string
		limits build.Limits
		want   string
	}{
		"memory":         {"python3 -c 'x=[]\nwhile True: x.append(bytearray(1<<20))'", build.Limits{Memory: 256 << 20}, "exceeded its memory (256 MiB)"},
		"memory of many": {"for i in 1 2 3 4 5 6 7 8; do python3 -c 'import time; x=bytearray(64<<20); time.sleep(8)' & done; wait; exit 1", build.Limits{Memory: 256 << 20}, "exceeded its memory (256 MiB)"},
		"processes":      {"bomb() { bomb | bomb & }; bomb; for i in $(seq 400); do sleep 20 & done; wait; exit 1", build.Limits{PIDs: 100}, "more than 100 processes"},
		"time":           {"sleep 600", build.Limits{Time: 2 * time.Second}, "longer than 2s"},
		"exit":           {"echo oh; exit 7", build.Limits{}, `the step "run the script" failed with exit status 7`},
	} {
		t.Run(name, func(t *testing.T) {
			m.detect = script(c.script)
			e := refusal(t, m, func(r *build.Request) { r.Limits = c.limits })
			if !strings.Contains(e.Msg, c.want) || e.Hint == "" {
				t.Errorf("want %q in the reason", c.want)
			}
			m.detect = script("echo fine > /out/fine")
			req, _ := request(t, stead.NewID(time.Now()), map[string]string{"y": name})
			if _, err := m.Build(t.Context(), req); err != nil {
				t.Errorf("the next build failed: %v", err)
			}
		})
	}
}

// What a build may see: nothing of the host, and its own secrets only while it
// runs.
func TestIsolation(t *testing.T) {
	m := openWithRegistry(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all, err := net.Listen("tcp", net.JoinHostPort(m.network.Gateway().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	port := func(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }
	text := strings.NewReplacer("LOOPBACK", port(l), "GATEWAY", m.network.Gateway().String(), "OTHER", port(all), "REGISTRY", strconv.Itoa(int(m.port))).Replace(`
reach() { if curl -s -m 3 -o /dev/null "$1"; then echo "REACHED $1"; else echo "refused $1: $?"; fi; }
reach http://127.0.0.1:LOOPBACK/
reach http://GATEWAY:OTHER/
reach http://169.254.169.254/
curl -s -m 3 -o /dev/null -w 'registry %{http_code}\n' http://GATEWAY:REGISTRY/v2/_catalog
curl -s -m 20 -o /dev/null -w 'internet %{http_code}\n' http://deb.debian.org/debian/dists/bookworm/InRelease
echo "uid map: $(cat /proc/self/uid_map)"
grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status
echo "processes: $(ls -d /proc/[0-9]* | wc -l)"
python3 -c 'import socket
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print("RAW SOCKET")
except OSError as e: print("raw socket refused:", e)'
mount -t tmpfs x /mnt 2>&1 | head -1 || true
echo 1 > /proc/sys/kernel/panic && echo WROTE || true
echo "secret length ${#TOKEN}"
printenv TOKEN | md5sum > /out/proof
`)
	m.detect = script(text, "TOKEN")
	req, out := request(t, stead.NewID(time.Now()), map[string]string{"x": "x"})
	const token = "hush-6f9a1e55d0c2"
	req.Config = stead.Config{"TOKEN": token}
	res, err := m.Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"REACHED", "RAW SOCKET", "WROTE", "registry 200", token} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q in the output", bad)
		}
	}
	for _, good := range []string{"registry 401", "internet 200", "secret length 17"} {
		if !strings.Contains(out.String(), good) {
			t.Errorf("%q not in the output", good)
		}
	}
	img, err := m.cfg.Registry.Pull(t.Context(), res.Image.Ref)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(config), token) {
		t.Error("the secret is in the image's configuration")
	}
	r := mutate.Extract(img)
	defer r.Close()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Size < 1<<20 {
			data, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), token) {
				t.Errorf("the secret is in %s", h.Name)
			}
		}
	}
}
