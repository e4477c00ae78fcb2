/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program says that its function returns. Part of call_trampoline.bpf.c. */
#ifndef TETRAPY_CALL_VERDICT_H
#define TETRAPY_CALL_VERDICT_H

#include "call.h"

#define MAX_ERRNO 4095
#define EPERM 1

/* Security modules return 0 or an error, and since Linux 6.12 the verifier wants to see that: what
 * is neither counts as EPERM. The comparisons are in assembler lest the compiler makes one of them,
 * which the verifier does not understand.
 */
const volatile __u32 verdict_is_error;

static __always_inline int verdict_of(struct call *call)
{
	__s64 verdict = call->verdict;

	if (!verdict_is_error)
		return verdict;
	asm volatile("if %0 s> 0 goto +1\n"
		     "if %0 s>= %1 goto +1\n"
		     "%0 = %2\n"
		     : "+r"(verdict)
		     : "i"(-MAX_ERRNO), "i"(-EPERM));
	return verdict;
}

#endif
