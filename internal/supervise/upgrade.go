package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Upgrade says when Run replaces a daemon that it finds running.
type Upgrade int

// The choices.
const (
	UpgradeNever   Upgrade = iota // it is adopted as it is
	UpgradeChanged                // when it runs of another program than the Spec names
	UpgradeAlways                 // the first time in any case
)

// stopGrace is given to an outdated daemon that nobody takes the work over from.
const stopGrace = 40 * time.Second

func (s Spec) outdated(pid int) bool {
	return s.Upgrade == UpgradeAlways || s.Upgrade == UpgradeChanged && Outdated(pid, s.Path)
}

// Outdated reports whether the process runs of another file than the one at
// path now: a program that was replaced.
func Outdated(pid int, path string) bool {
	is, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)) // the file itself, also when its name is gone
	if err != nil {
		return false // it ended, or may not be looked at
	}
	want, err := os.Stat(path)
	return err == nil && !os.SameFile(is, want)
}

// supersede makes way for a new process: the old one is stopped, or remembered
// as one that hands its work over and ends by itself.
func (s Spec) supersede(ctx context.Context, pid int) error {
	if !s.TakeOver {
		return Stop(ctx, s.StateDir, s.Name, stopGrace)
	}
	forgetEnded(s.StateDir, s.Name)
	err := os.Rename(pidPath(s.StateDir, s.Name), filepath.Join(s.StateDir, fmt.Sprintf("%s.former-%d", s.Name, pid)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func former(stateDir, name string) []string {
	files, _ := filepath.Glob(filepath.Join(stateDir, name+".former-*")) // the pattern is well formed
	return files
}

// forgetEnded removes the pid files of former processes that are gone.
func forgetEnded(stateDir, name string) {
	for _, f := range former(stateDir, name) {
		if _, ok := runningIn(f); !ok {
			_ = os.Remove(f)
		}
	}
}

// stopFormer ends the former processes that still finish their work.
func stopFormer(ctx context.Context, stateDir, name string, grace time.Duration) error {
	for _, f := range former(stateDir, name) {
		if err := stopFile(ctx, stateDir, name, f, grace); err != nil {
			return err
		}
	}
	forgetEnded(stateDir, name)
	return nil
}
