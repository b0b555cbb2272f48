package buildkit

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuseRawSockets makes the kernel refuse raw and packet sockets to this
// thread and all that it starts. Build steps hold CAP_NET_RAW in the network
// namespace that they share with the daemon and with each other; with such a
// socket one could read the others' traffic.
func refuseRawSockets() error {
	prog := rawSocketFilter()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		return fmt.Errorf("refuse raw sockets: %w", errno)
	}
	return nil
}

// Offsets in struct seccomp_data (seccomp(2)), little-endian.
const (
	offNumber = 0
	offArch   = 4
	offFamily = 16
	offType   = 24
)

// rawSocketFilter is the program. Of another architecture's calls, which could
// name the call differently, socket and socketcall are refused altogether.
//
//	native?  socket? no → allow;  family packet → refuse;  family inet, inet6 and type raw → refuse
//	i386?    socket (359), socketcall (102) → refuse
//	x32 calls and any other architecture → refuse
func rawSocketFilter() []unix.SockFilter {
	const ld, jeq, jge, and, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	native, x32 := uint32(unix.AUDIT_ARCH_X86_64), uint32(0x40000000)
	if runtime.GOARCH == "arm64" {
		native = unix.AUDIT_ARCH_AARCH64
	}
	refuse := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	return []unix.SockFilter{
		{Code: ld, K: offArch},
		{Code: jeq, K: native, Jt: 4},                // yes: native
		{Code: jeq, K: unix.AUDIT_ARCH_I386, Jf: 13}, // no: refuse
		{Code: ld, K: offNumber},
		{Code: jeq, K: 359, Jt: 11},            // yes: refuse
		{Code: jeq, K: 102, Jt: 10, Jf: 11},    // yes: refuse, no: allow
		{Code: ld, K: offNumber},               // native:
		{Code: jge, K: x32, Jt: 8},             // yes: refuse
		{Code: jeq, K: unix.SYS_SOCKET, Jf: 8}, // no: allow
		{Code: ld, K: offFamily},
		{Code: jeq, K: unix.AF_PACKET, Jt: 5}, // yes: refuse
		{Code: jeq, K: unix.AF_INET, Jt: 1},   // yes: type
		{Code: jeq, K: unix.AF_INET6, Jf: 4},  // no: allow
		{Code: ld, K: offType},                // type:
		{Code: and, K: 0xf},
		{Code: jeq, K: unix.SOCK_RAW, Jf: 1},   // no: allow
		{Code: ret, K: refuse},                 // refuse:
		{Code: ret, K: unix.SECCOMP_RET_ALLOW}, // allow:
	}
}
