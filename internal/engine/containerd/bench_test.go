package containerd

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead/internal/engine/enginetest"
	"github.com/steadpaas/stead/internal/engine/network"
)

// BenchmarkStart measures the stages of a start, runc alone with the same
// bundle and, with $DOCKER_HOST (scripts/with-docker), "docker run" of the same
// image, in turn. Each is over when its port answers. Figures are milliseconds:
// medians, and the 90th percentile of the whole.
func BenchmarkStart(b *testing.B) {
	m := testMachine(b)
	o := m.fresh(b, testLogs(b))
	stages := map[string][]float64{}
	var order []string
	n := 0
	for b.Loop() {
		n++
		w := webWorkload(m.image, fmt.Sprintf("bench-%d", n), "web")
		began := time.Now()
		apply(b, o, w)
		s := await(b, o, w.ID, "up", isUp)
		stages["total"] = append(stages["total"], time.Since(began).Seconds())
		for _, st := range s.Stages {
			if !slices.Contains(order, st.Name) {
				order = append(order, st.Name)
			}
			stages[st.Name] = append(stages[st.Name], st.Seconds)
		}
		docked(b, m, stages)
		bare(b, o, m, n, stages, o.instance(s.Instance).container())
		_ = o.Delete(b.Context(), w.ID)
		for o.instance(s.Instance) != nil {
			pause(b.Context(), 5*time.Millisecond)
		}
	}
	for _, name := range append(order, "total", "runc", "docker") {
		if v := stages[name]; len(v) > 0 {
			slices.Sort(v)
			b.ReportMetric(1000*v[len(v)/2], name+"-ms")
			if !slices.Contains(order, name) {
				b.ReportMetric(1000*v[len(v)*9/10], name+"-p90-ms")
			}
		}
	}
}

// bare starts the same bundle on files mounted likewise with runc by hand,
// until its port answers. Its network, files and configuration are there
// before the clock starts.
func bare(b *testing.B, o *opened, m *machine, n int, stages map[string][]float64, like string) {
	b.Helper()
	place, err := o.cfg.Network.Attach(b.Context(), "bare", network.Options{})
	ok(b, err)
	defer func() { ok(b, o.cfg.Network.Detach(b.Context(), "bare")) }()
	data, err := os.ReadFile(filepath.Join(o.cfg.RunDir, "state/io.containerd.runtime.v2.task", o.cfg.namespace(), like, "config.json"))
	ok(b, err)
	var spec specs.Spec
	ok(b, json.Unmarshal(data, &spec))
	dir := filepath.Join(filepath.Dir(o.cfg.Dir), fmt.Sprintf("bare%d", n))
	root := filepath.Join(dir, "rootfs")
	ok(b, os.MkdirAll(root, 0o755))
	img, err := o.image(b.Context(), m.image)
	ok(b, err)
	key := "bare-" + strconv.Itoa(n)
	files, err := o.prepare(b.Context(), key, img)
	ok(b, err)
	defer func() {
		ok(b, mount.UnmountAll(root, 0))
		ok(b, o.containerd().SnapshotService(snapshotter).Remove(b.Context(), key))
	}()
	for _, f := range files {
		ok(b, (&mount.Mount{Type: f.Type, Source: f.Source, Target: f.Target, Options: f.Options}).Mount(root))
	}
	for i, ns := range spec.Linux.Namespaces {
		switch ns.Type {
		case specs.UserNamespace:
			spec.Linux.Namespaces[i].Path = place.UserNS
		case specs.NetworkNamespace:
			spec.Linux.Namespaces[i].Path = place.NetNS
		}
	}
	spec.Root.Path, spec.Linux.CgroupsPath = root, "/"+o.cfg.namespace()+"/bare"
	data, err = json.Marshal(spec)
	ok(b, err)
	ok(b, os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644))
	runc := func(args ...string) *exec.Cmd {
		return exec.Command(filepath.Join(binDir(), "runc"), append([]string{"--root", filepath.Join(dir, "runc")}, args...)...)
	}
	began := time.Now()
	ok(b, runc("run", "-d", "--bundle", dir, "bare").Run())
	answers(b, place.Address.String()+":5000")
	stages["runc"] = append(stages["runc"], time.Since(began).Seconds())
	ok(b, runc("delete", "--force", "bare").Run())
}

// docked starts the same image with "docker run -d".
func docked(b *testing.B, m *machine, stages map[string][]float64) {
	b.Helper()
	if os.Getenv("DOCKER_HOST") == "" {
		return
	}
	docker := func(args ...string) string {
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			b.Fatalf("docker %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if len(stages["docker"]) == 0 {
		file := filepath.Join(b.TempDir(), "image.tar")
		img, err := enginetest.TestImage(m.hold)
		ok(b, err)
		tag, err := name.NewTag("start:bench")
		ok(b, err)
		ok(b, tarball.WriteToFile(file, tag, img))
		docker("load", "-i", file)
	}
	began := time.Now()
	id := docker("run", "-d", "-m", "128m", "--pids-limit", "64", "--cpus", "1", "-e", "PORT=5000", "start:bench", enginetest.TestApp, "web")
	answers(b, docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", id)+":5000")
	stages["docker"] = append(stages["docker"], time.Since(began).Seconds())
	docker("rm", "-f", id)
}

// answers returns when the address takes a connection.
func answers(b *testing.B, address string) {
	b.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pause(b.Context(), 2*time.Millisecond) {
		if c, err := net.DialTimeout("tcp4", address, time.Second); err == nil {
			c.Close()
			return
		}
	}
	b.Fatalf("%s does not answer", address)
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
