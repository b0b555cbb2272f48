package containerd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steadpaas/stead/internal/engine"
	"github.com/steadpaas/stead/internal/engine/enginetest"
)

// A containerd that is not ours runs instances likewise, keeps what others have
// in it, and is left without a trace of us. $STEAD_TEST_CONTAINERD is the
// program to try it with.
func TestSharedContainerd(t *testing.T) {
	m := testMachine(t)
	program := os.Getenv("STEAD_TEST_CONTAINERD")
	if program == "" {
		program = filepath.Join(binDir(), "containerd")
	}
	o := m.freshAt(t, testLogs(t), foreign(t, program))
	w := webWorkload(m.image, "shared", "web")
	apply(t, o, w)
	s := await(t, o, w.ID, "up", isUp)
	if err := get(s, "/"); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	code, err := o.Exec(t.Context(), s.Instance, engine.Command{Args: []string{enginetest.TestApp, "env"}}, engine.Streams{Stdout: &out, Stderr: io.Discard})
	if err != nil || code != 0 || !strings.Contains(out.String(), "PORT=5000") {
		t.Errorf("exec: %d %v %s", code, err, &out)
	}
}

// foreign starts a containerd as a machine would, and returns its address.
func foreign(t *testing.T, program string) string {
	t.Helper()
	dir := shortDir(t)
	conf := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\naddress = %q\n"+
		"[plugins.\"io.containerd.shim.v1.manager\"]\nsocket_dir = %q\n",
		dir+"/root", dir+"/state", dir+"/sock", dir+"/s")
	if err := os.WriteFile(dir+"/config.toml", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config", dir+"/config.toml")
	cmd.Env = append(os.Environ(), "PATH="+binDir()+":"+os.Getenv("PATH"))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("containerd said: %s", &said)
		}
		if err := unmountBelow(dir); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; pause(t.Context(), 20*time.Millisecond) {
		if _, err := os.Stat(dir + "/sock"); err == nil {
			return dir + "/sock"
		}
		if time.Now().After(end) {
			t.Fatalf("containerd does not start: %s", &said)
		}
	}
}
