// SPDX-License-Identifier: GPL-2.0-only
/* Functions of the kernel through its trampolines: fentry, fexit and hooks of security modules.
 *
 * Such a program is verified for one function, and calls only programs that are for the same one.
 * So user space loads these once for each hook, and says then what they are: their types differ in
 * nothing that is read here.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

/* 1: the program may keep the function from running, and says then what that returns. */
const volatile __u32 gives_verdict;

#define CALL_SECTION "?fentry"
#define CALL_NAME(x) trampoline_##x
#define CALL_READS_CONTEXT 0
#define CALL_RESULT(call) (gives_verdict ? verdict_of(call) : 0)
#include "call_verdict.h"
#include "call_steps.h"
#include "call_syscall.h"
#include "enforcement.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u64 fixed_trampoline_cookie;
/* Of the function, in registers; what it returns stands behind them. */
const volatile __u32 trampoline_arguments;

#include "call_hash.h"

static __always_inline void read_trampoline(void *ctx, struct call *call)
{
	/* One function has fewer: what is behind them is not used. */
	bpf_probe_read_kernel(call->arguments, sizeof(call->arguments), ctx);
	if (fixed_trampoline_cookie & COOKIE_SYSCALL)
		read_syscall_arguments(call);
}

SEC("?fentry")
int on_trampoline(void *ctx)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	read_trampoline(ctx, call);
	return enter(ctx, call, fixed_trampoline_cookie);
}

SEC("?fentry")
int on_trampoline_return(void *ctx)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	bpf_probe_read_kernel(&call->returned, sizeof(call->returned),
			      ctx + 8 * trampoline_arguments);
	return enter_return(ctx, call, fixed_trampoline_cookie);
}

/* Number of the policy whose enforcers a function is one of. */
const volatile __u32 enforcing_policy;

/* At a function that is one of a policy's enforcers: does what awaits the thread. */
SEC("?fentry")
int on_enforced(__attribute__((unused)) void *ctx)
{
	__s32 error = 0;

	take_enforcement(enforcing_policy, &error);
	return error;
}
