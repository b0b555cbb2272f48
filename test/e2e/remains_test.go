package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"
)

// remains compares what the engine has on the machine with so many instances,
// and says what is there too often or too seldom; empty: all is as it should be.
func (p *platform) remains(t *testing.T, instances int) string {
	t.Helper()
	id := network(p)
	found := p.held(t, id)
	found["shims"], found["root mounts"] = 0, 0
	for _, cwd := range processesOf("containerd-shim-runc-v2", "stead-"+id) {
		if strings.Contains(cwd, "/stead-"+id+"/") {
			found["shims"]++ // the others wait for a container
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	pinned := 0
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/stead-"+id+"/") && strings.Contains(line, "/rootfs ") {
			found["root mounts"]++
		}
		if strings.Contains(line, filepath.Join(p.dir, "d", "network", "ns")+"/") {
			pinned++
		}
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/memory/stead-" + id + "/*-[0-9]*")
	found["control groups"] = len(groups)
	var wrong []string
	for what, n := range found {
		if want := instances; n != want && what != "leases" || what == "leases" && n != 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, what))
		}
	}
	// Two namespaces for each instance, for builds, and for those that wait.
	if most := 2 * (instances + 1 + 3); pinned > most {
		wrong = append(wrong, fmt.Sprintf("%d pinned namespaces, at most %d", pinned, most))
	}
	return strings.Join(wrong, ", ")
}

// held counts what containerd keeps for the platform.
func (p *platform) held(t *testing.T, id string) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := client.New("/run/stead-"+id+"/containerd.sock", client.WithDefaultNamespace("stead-"+id), client.WithTimeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	containers, err := c.Containers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := c.LeasesService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	active := 0
	if err := c.SnapshotService("overlayfs").Walk(ctx, func(_ context.Context, s snapshots.Info) error {
		if s.Kind == snapshots.KindActive {
			active++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return map[string]int{"containers": len(containers), "leases": len(leases), "snapshots in use": active}
}

// processesOf returns the directories of the processes of that program that
// have the argument.
func processesOf(program, arg string) map[int]string {
	out := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(data), program) || !strings.Contains(string(data), "\x00"+arg+"\x00") {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(f, "/proc/%d/cmdline", &pid); err == nil {
			out[pid], _ = os.Readlink(filepath.Join(filepath.Dir(f), "cwd"))
		}
	}
	return out
}
