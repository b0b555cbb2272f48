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
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/steadpaas/stead/internal/engine/network"
)

// BenchmarkStart measures the stages of a start, and runc alone with the same
// bundle, in turn. Figures are medians in milliseconds.
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
		bare(b, o, m, n, stages, o.instance(s.Instance).container())
		_ = o.Delete(b.Context(), w.ID)
		for o.instance(s.Instance) != nil {
			pause(b.Context(), 5*time.Millisecond)
		}
	}
	for _, name := range append(order, "total", "runc") {
		v := stages[name]
		slices.Sort(v)
		b.ReportMetric(1000*v[len(v)/2], name+"-ms")
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
	name := "bare-" + strconv.Itoa(n)
	files, err := o.prepare(b.Context(), name, img)
	ok(b, err)
	defer func() {
		ok(b, mount.UnmountAll(root, 0))
		ok(b, o.containerd().SnapshotService(snapshotter).Remove(b.Context(), name))
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
	for {
		c, err := net.DialTimeout("tcp4", place.Address.String()+":5000", time.Second)
		if err == nil {
			c.Close()
			break
		}
		pause(b.Context(), 2*time.Millisecond)
	}
	stages["runc"] = append(stages["runc"], time.Since(began).Seconds())
	ok(b, runc("delete", "--force", "bare").Run())
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
