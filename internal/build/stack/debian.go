package stack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// debootstrap writes the recipe's root file system to the file as a tar
// archive, by mmdebstrap(1). Progress lines go to say.
func debootstrap(ctx context.Context, r recipe, file string, say func(string)) error {
	tool, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return &stead.Error{Kind: stead.KindPrecondition, Msg: "mmdebstrap is not installed, and the base image is made with it",
			Hint: "apt-get install mmdebstrap, or copy another machine's stack cache here", Err: err}
	}
	trusted, err := writeTrust(r, filepath.Dir(file))
	if err != nil {
		return err
	}
	args := []string{"--mode=root", "--variant=minbase", "--format=tar", "--include=" + strings.Join(r.packages, ","),
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		"--aptopt=APT::Install-Recommends false", "--aptopt=Acquire::Languages none", "--aptopt=Acquire::Retries 3",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/lintian/*", "--dpkgopt=path-exclude=/usr/share/bug/*"}
	if len(r.trust) > 0 {
		args = append(args, "--essential-hook=copy-in "+trusted+" /usr/local/share")
	}
	args = append(append(args, suite, file), r.sources...)
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TMPDIR=" + filepath.Dir(file), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch)}
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it unmounts and removes on the way out
	return follow(cmd, say)
}

// writeTrust puts the host's own certificate authorities where mmdebstrap can
// copy them from.
func writeTrust(r recipe, dir string) (string, error) {
	dir = filepath.Join(dir, "ca-certificates")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, data := range r.trust {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// follow runs a command, hands its lines on, and quotes the last ones if it fails.
func follow(cmd *exec.Cmd, say func(string)) error {
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	var last []string
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(r); s.Scan(); {
			if line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "I: ")); line != "" && !strings.HasPrefix(line, "done") {
				last = append(last[max(0, len(last)-9):], line)
				say(line)
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	err := cmd.Wait()
	w.Close()
	<-read
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.Join(last, " | "))
	}
	return nil
}

// finish copies a root file system's archive and makes it the run image's: the
// user app, its home, no traces of the making.
func finish(to io.Writer, from io.Reader) error {
	in, out := tar.NewReader(from), tar.NewWriter(to)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read root file system: %w", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if name == "" || trace(name) {
			continue
		}
		if err := copyEntry(out, in, h, name); err != nil {
			return err
		}
	}
	home := &tar.Header{Typeflag: tar.TypeDir, Name: "app/", Mode: 0o755, Uid: UserID, Gid: UserID, ModTime: time.Unix(epoch, 0), Format: tar.FormatPAX}
	if err := out.WriteHeader(home); err != nil {
		return err
	}
	return out.Close()
}

// trace reports whether a path is left over from the making, or differs each time.
func trace(name string) bool {
	for _, p := range []string{"var/log/", "var/cache/apt/", "var/cache/debconf/", "var/cache/ldconfig/", "var/lib/apt/lists/", "tmp/", "run/", "dev/"} {
		if strings.HasPrefix(name, p) && name != p {
			return name != "var/cache/apt/archives/" && name != "var/cache/apt/archives/partial/" && name != "var/lib/apt/lists/partial/" && name != "var/log/apt/"
		}
	}
	return name == "etc/machine-id" || name == "etc/hostname" || name == "etc/resolv.conf" || strings.HasSuffix(name, "-old")
}

// accounts are the lines that make the user.
var accounts = map[string]string{
	"etc/passwd":  "app:x:1000:1000:app:/app:/bin/bash\n",
	"etc/group":   "app:x:1000:\n",
	"etc/shadow":  "app:*:19676:0:99999:7:::\n",
	"etc/gshadow": "app:!::\n",
}

func copyEntry(out *tar.Writer, in io.Reader, h *tar.Header, name string) error {
	h.Name = name
	h.Format = tar.FormatPAX
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if h.ModTime.Unix() > epoch {
		h.ModTime = time.Unix(epoch, 0)
	}
	if h.Typeflag == tar.TypeLink {
		h.Linkname = strings.TrimPrefix(h.Linkname, "./")
	}
	if line, ok := accounts[name]; ok {
		data, err := io.ReadAll(io.LimitReader(in, 1<<20))
		if err != nil {
			return err
		}
		in = bytes.NewReader(append(data, line...))
		h.Size = int64(len(data) + len(line))
	}
	if err := out.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err := io.Copy(out, in)
	return err
}
