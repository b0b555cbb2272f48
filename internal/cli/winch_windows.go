package cli

import "syscall"

// sigwinch stands for a change of the terminal's size, of which Windows sends
// no signal.
const sigwinch = syscall.Signal(0x1c)
