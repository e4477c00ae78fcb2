/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments of system calls, whose functions get a pointer to their caller's registers. */
#ifndef TETRAPY_CALL_SYSCALL_H
#define TETRAPY_CALL_SYSCALL_H

#include "call.h"

enum machine {
	MACHINE_X86_64 = 0,
	MACHINE_ARM64 = 1,
};

SHARED const volatile enum machine machine;

/* What a system call was called with: its function gets a pointer to the caller's registers. The
 * fourth argument is in another place than for functions on x86_64.
 */
static __always_inline void read_syscall_arguments(struct call *call)
{
	const __u64 *regs = (const __u64 *)call->arguments[0];
	__u64 saved[15] = {};

	if (machine == MACHINE_X86_64) {
		bpf_probe_read_kernel(saved, sizeof(saved), regs);
		call->arguments[0] = saved[14];
		call->arguments[1] = saved[13];
		call->arguments[2] = saved[12];
		call->arguments[3] = saved[7];
		call->arguments[4] = saved[9];
		call->arguments[5] = saved[8];
		return;
	}
	bpf_probe_read_kernel(saved, sizeof(saved), regs);
	call->arguments[0] = saved[0];
	call->arguments[1] = saved[1];
	call->arguments[2] = saved[2];
	call->arguments[3] = saved[3];
	call->arguments[4] = saved[4];
	call->arguments[5] = saved[5];
}

#endif
