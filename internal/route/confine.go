package route

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Identity is whom the router becomes once its sockets are bound.
type Identity struct{ UID, GID int }

// confine gives up what only binding needed: the process becomes another user,
// without groups or capabilities and with no way to get any, and of the file
// system it keeps its state directory. Sockets that are open stay open. All
// threads of the process are changed.
func (s *server) confine() error {
	who := s.cfg.User
	if who == nil {
		return nil
	}
	if err := giveTree(s.cfg.StateDir, who); err != nil {
		return fmt.Errorf("hand the router's state directory over: %w", err)
	}
	// First, because later the paths cannot be reached. A kernel without landlock
	// leaves this out; what the user may not do remains.
	if err := landlock.V5.BestEffort().RestrictPaths(landlock.RWDirs(s.cfg.StateDir),
		landlock.ROFiles(bootFile).IgnoreIfMissing()); err != nil {
		return fmt.Errorf("restrict the file system: %w", err)
	}
	if err := dropBounding(); err != nil {
		return err
	}
	if err := become(who); err != nil {
		return err
	}
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("give up new privileges: %w", errno)
	}
	s.cfg.Log.Info("privileges given up", "uid", who.UID, "gid", who.GID)
	return nil
}

func giveTree(dir string, who *Identity) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, who.UID, who.GID)
	})
}

// dropBounding empties the bounding set, so that no program could ever be given
// a capability. The last number is the kernel's: it ends the loop.
func dropBounding() error {
	for c := uintptr(0); c < 64; c++ {
		_, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0, 0)
		if errno == unix.EINVAL {
			return nil
		}
		if errno == unix.EPERM { // without CAP_SETPCAP: what is not held cannot be got either, as no_new_privs follows
			return nil
		}
		if errno != 0 {
			return fmt.Errorf("drop capability %d: %w", c, errno)
		}
	}
	return nil
}

// become changes user and group; from root this clears the capabilities.
func become(who *Identity) error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave all groups: %w", err)
	}
	if err := syscall.Setresgid(who.GID, who.GID, who.GID); err != nil {
		return fmt.Errorf("become group %d: %w", who.GID, err)
	}
	if err := syscall.Setresuid(who.UID, who.UID, who.UID); err != nil {
		return fmt.Errorf("become user %d: %w", who.UID, err)
	}
	return nil
}
