package plan

import (
	"slices"

	"github.com/moby/buildkit/client/llb"
)

// Changed is the source after a shell line of the app's own ran on it, as the
// app's user.
func (in Inputs) Changed(line string) llb.State {
	begun := llb.Scratch().File(llb.Mkdir("/src", 0o755, llb.WithUIDGID(AppUser, AppUser)), llb.WithCustomName("[internal] empty directory"))
	begun = CopyApp(begun, in.Source, "/", "/src", "[internal] copy the source")
	run := in.Build.Dir("/src").Run(in.Step("run "+Plain(line), "", "/bin/sh", "-ec", line), llb.User("1000:1000"), Env("HOME", "/tmp"))
	out := run.AddMount("/src", begun, llb.SourcePath("/src"))
	return Copy(llb.Scratch(), out, "/src", "/", "[internal] take the source")
}

// Finished is the image after a shell line of the app's own ran in it, in /app
// and as the app's user.
func (in Inputs) Finished(out Output, line string) Output {
	opts := []llb.RunOption{in.Step("run "+Plain(line), "", "/bin/sh", "-ec", line), llb.User("1000:1000"), llb.Dir("/app")}
	for _, kv := range out.Config.Env {
		for i := range kv {
			if kv[i] == '=' {
				opts = append(opts, Env(kv[:i], kv[i+1:]))
				break
			}
		}
	}
	out.State = out.State.Run(opts...).Root()
	return out
}

// WithPackages is a base image with packages of Debian on top. The names have
// been checked.
func (in Inputs) WithPackages(base llb.State, names []string) llb.State {
	if len(names) == 0 {
		return base
	}
	names = slices.Sorted(slices.Values(names))
	script := "set -e; apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install -- \"$@\"; " +
		"rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache"
	return base.Run(llb.Args(append([]string{"/bin/sh", "-c", script, "install"}, names...)), llb.User("root"),
		llb.WithCustomName("install Debian packages"), Env("SOURCE_DATE_EPOCH", Epoch)).Root()
}
