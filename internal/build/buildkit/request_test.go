package buildkit

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/stack"
)

// ask starts the command that follows, as the app's user, and asks it for its
// page; then it stops it and wants it to end.
const ask = `set -u
test "$(id -u)" = 1000 || { echo "runs as $(id)" >&2; exit 1; }
"$@" & pid=$!
for i in $(seq 300); do
  if curl -sf -o /tmp/answer "http://127.0.0.1:$PORT/"; then break; fi
  kill -0 $pid 2>/dev/null || { echo "the app ended before it answered" >&2; exit 1; }
  sleep 0.1
done
echo "answer: $(cat /tmp/answer)"
kill -TERM $pid
for i in $(seq 300); do kill -0 $pid 2>/dev/null || { echo stopped; exit 0; }; sleep 0.1; done
echo "the app does not stop" >&2; exit 1`

// requested runs an image's web process, where builds run, and returns what was said.
func requested(t *testing.T, m *machine, res build.Result) string {
	t.Helper()
	img, err := m.cfg.Registry.Pull(t.Context(), res.Image.Ref)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	command := []string(res.Image.Processes["web"])
	if len(command) == 0 {
		command = append(file.Config.Entrypoint, file.Config.Cmd...)
	}
	opts := []llb.RunOption{llb.Args(append([]string{"/bin/sh", "-c", ask, "ask"}, command...)), llb.User(file.Config.User), llb.Dir(file.Config.WorkingDir),
		llb.WithCustomName("ask"), llb.AddEnv("PORT", "5000"), llb.AddEnv("AT", time.Now().String())}
	for _, e := range file.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		opts = append(opts, llb.AddEnv(name, value))
	}
	def, err := llb.Image(m.cfg.Registry.Host+"/"+res.Image.Ref).Run(opts...).Marshal(t.Context(), llb.Platform(platform()))
	if err != nil {
		t.Fatal(err)
	}
	config := stack.Config()
	repository, _, _ := strings.Cut(res.Image.Ref, "@") // the only one that the build's password opens
	said := &lines{t: t}
	if _, err := m.solve(t.Context(), solution{def: def, config: &config, repository: repository}, time.Now().Add(time.Hour), newPrinter(said.add)); err != nil {
		t.Fatalf("the image does not serve: %v", err)
	}
	if s := said.String(); !strings.Contains(s, "answer: ") || !strings.Contains(s, "Hello") && !strings.Contains(s, "procfile-multi") {
		t.Errorf("not the page of an example:\n%s", s)
	}
	return said.String()
}
