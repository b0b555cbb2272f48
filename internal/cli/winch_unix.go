//go:build unix

package cli

import "syscall"

// sigwinch tells that the terminal's size changed.
const sigwinch = syscall.SIGWINCH
