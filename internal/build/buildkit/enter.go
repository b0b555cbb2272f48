package buildkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// jail is what the sandbox's two helpers are told: which namespaces to enter
// and what to find inside.
//
//	supervise ─clone(pid, mount, ipc, uts)→ build: root of the host; lays the new root out
//	  ─exec nsenter(user, net)→ enter: root of the user namespace; own mount namespace, pivot
//	    ─exec→ buildkitd
//
// It is one process all the way. The order matters: what is mounted before the
// user namespace is entered is locked and cannot be undone from inside.
type jail struct {
	UserNS, NetNS string
	Root          string   // an empty directory to build the new root in
	Tools         []string // programs, read-only in /bin
	State         string   // writable at /state; owned by the user namespace's root
	Run           string   // writable at /run: the daemon's socket
	Etc           string   // read-only at /etc
	CertFile      string   // read-only at /certs.pem
	Cgroups       []string // control group directories, NAME=PATH; NAME "" is the v2 hierarchy
	Join          []string // cgroup.procs files to enter
	UID           int      // the host's id of root inside
	Args          []string // the daemon's argv
}

// EnterMain is the hidden helper "sandbox": it never returns when all goes
// well. args is either "build FILE", FILE holding a jail, or "enter FILE".
// Call it before anything else of main.
func EnterMain(args []string) error {
	runtime.LockOSThread()
	if len(args) != 2 {
		return errors.New("sandbox: want build FILE or enter FILE")
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	var j jail
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	switch args[0] {
	case "build":
		return fmt.Errorf("build sandbox: %w", j.build(args[1]))
	case "enter":
		return fmt.Errorf("enter sandbox: %w", j.enter())
	}
	return fmt.Errorf("sandbox: no step %q", args[0])
}

// Files that the first helper leaves open for the second.
const (
	fdSelf = 10 + iota
	fdConfig
	fdUser
	fdNet
)

// top is where the new root is while the old one is left: a directory that can
// be walked from inside, which the one it is built in may not be.
const top = "/tmp"

func (j *jail) build(config string) error {
	runtime.LockOSThread() // the priority is a thread's, and the next program's
	if err := lowerIO(); err != nil {
		return err
	}
	for _, file := range j.Join {
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return fmt.Errorf("join control group: %w", err)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := j.layout(); err != nil {
		return err
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	for fd, path := range map[int]string{fdSelf: "/proc/self/exe", fdConfig: config, fdUser: j.UserNS, fdNet: j.NetNS} {
		if err := keepOpen(path, fd); err != nil {
			return err
		}
	}
	if err := unix.Mount(j.Root, top, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show new root: %w", err)
	}
	return unix.Exec(nsenter, []string{"nsenter", "--user=" + fdPath(fdUser), "--net=" + fdPath(fdNet), "--",
		fdPath(fdSelf), "sandbox", "enter", fdPath(fdConfig)}, os.Environ())
}

// lowerIO gives the daemon, and all that it starts, the lowest priority of best
// effort for the disk: running apps go first (ioprio_set(2)).
func lowerIO() error {
	const whoProcess, bestEffort, lowest = 1, 2, 7
	if _, _, e := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, bestEffort<<13|lowest); e != 0 {
		return fmt.Errorf("lower priority for the disk: %w", e)
	}
	return nil
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// keepOpen opens a file so that it stays open, as fd, in the next program.
func keepOpen(path string, fd int) error {
	f, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if f == fd {
		return nil
	}
	defer unix.Close(f)
	return unix.Dup2(f, fd)
}

// mount is one thing that the daemon sees.
type mount struct {
	from, to string
	flags    uintptr
}

const readOnly = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV

// layout builds the daemon's root as the host's root: nothing below it can be
// changed or uncovered from inside.
func (j *jail) layout() error {
	if err := unix.Mount("root", j.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=4m,mode=755"); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	for _, dir := range []string{"bin", "state", "run", "etc", "dev", "dev/shm", "dev/pts", "proc", "sys", "cgroup", "tmp"} {
		if err := os.Mkdir(filepath.Join(j.Root, dir), 0o755); err != nil {
			return err
		}
	}
	binds := []mount{{j.Etc, "etc", readOnly | unix.MS_NOEXEC}, {j.State, "state", unix.MS_NODEV}, {j.Run, "run", readOnly &^ unix.MS_RDONLY}}
	for _, dev := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		binds = append(binds, mount{"/dev/" + dev, "dev/" + dev, unix.MS_NOSUID | unix.MS_NOEXEC})
	}
	for _, tool := range j.Tools {
		binds = append(binds, mount{tool, "bin/" + filepath.Base(tool), readOnly})
	}
	if j.CertFile != "" {
		binds = append(binds, mount{j.CertFile, "certs.pem", readOnly | unix.MS_NOEXEC})
	}
	for _, b := range binds {
		if err := j.bind(b); err != nil {
			return err
		}
	}
	if err := j.bindCgroups(); err != nil {
		return err
	}
	own := fmt.Sprintf("size=64m,mode=1777,uid=%d,gid=%d", j.UID, j.UID)
	for _, m := range [][3]string{{"proc", "proc", ""}, {"shm", "dev/shm", own}, {"tmp", "tmp", own}} {
		kind := "tmpfs"
		if m[0] == "proc" {
			kind = "proc"
		}
		if err := unix.Mount(m[0], filepath.Join(j.Root, m[1]), kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, m[2]); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	return nil
}

// bind mounts a file or directory of the host into the new root.
func (j *jail) bind(m mount) error {
	to := filepath.Join(j.Root, m.to)
	if info, err := os.Stat(m.from); err != nil {
		return err
	} else if !info.IsDir() {
		if err := os.WriteFile(to, nil, 0o644); err != nil {
			return err
		}
	}
	if err := unix.Mount(m.from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.to, err)
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|m.flags, ""); err != nil {
		return fmt.Errorf("restrict %s: %w", m.to, err)
	}
	return nil
}

// bindCgroups gives the daemon its own part of the control groups and no other.
func (j *jail) bindCgroups() error {
	for _, c := range j.Cgroups {
		name, path, _ := strings.Cut(c, "=")
		to := filepath.Join(j.Root, "cgroup", name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(path, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount control group %s: %w", path, err)
		}
	}
	return nil
}

// enter runs inside the user namespace: it makes a mount namespace that the
// user namespace owns, and the layout its root.
func (j *jail) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount(top, top, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount new root: %w", err)
	}
	if err := unix.Mount("sysfs", top+"/sys", "sysfs", readOnly|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount sys: %w", err)
	}
	if err := unix.Mount(top+"/cgroup", top+"/sys/fs/cgroup", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount control groups: %w", err)
	}
	if err := unix.Mount("devpts", top+"/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return fmt.Errorf("mount terminals: %w", err)
	}
	if err := pivot(top); err != nil {
		return err
	}
	for _, fd := range []int{fdSelf, fdConfig, fdUser, fdNet} {
		unix.CloseOnExec(fd)
	}
	if err := refuseRawSockets(); err != nil {
		return err
	}
	env := []string{"PATH=/bin", "HOME=/state", "TMPDIR=/state/tmp", "XDG_RUNTIME_DIR=/run", "SSL_CERT_FILE=/certs.pem", "OTEL_SDK_DISABLED=true"}
	return unix.Exec(j.Args[0], j.Args, env)
}

func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	return unix.Chdir("/")
}
