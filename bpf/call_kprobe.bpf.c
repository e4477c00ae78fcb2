// SPDX-License-Identifier: GPL-2.0-only
/* Functions of the kernel (kprobes) and of programs (uprobes). */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define CALL_SECTION "?kprobe"
#define CALL_NAME(x) kprobe_##x
#define CALL_READS_CONTEXT 1
#define CALL_RESULT(call) 0
#include "call_steps.h"
#include "call_set.h"
#include "call_syscall.h"
#include "enforcement.h"
#include "call_registers.h"

char LICENSE[] SEC("license") = "GPL";

/* The hook, where a program is not given the number of its link (before Linux 5.15). */
const volatile __u64 fixed_cookie;

/* Loads a saved register. In assembler: the compiler would compute the address first, which the
 * verifier refuses for a context.
 */
#define LOAD(regs, number)                                    \
	({                                                    \
		__u64 loaded;                                 \
		asm volatile("%0 = *(u64 *)(%1 + %2)"         \
			     : "=r"(loaded)                   \
			     : "r"(regs), "i"(8 * (number))); \
		loaded;                                       \
	})

/* Places of the arguments in the saved registers: struct pt_regs of x86_64, struct user_pt_regs of
 * arm64, both part of the kernel's interface to user space.
 */
static __always_inline void read_arguments(void *regs, struct call *call)
{
	if (machine == MACHINE_X86_64) {
		call->arguments[0] = LOAD(regs, 14);
		call->arguments[1] = LOAD(regs, 13);
		call->arguments[2] = LOAD(regs, 12);
		call->arguments[3] = LOAD(regs, 11);
		call->arguments[4] = LOAD(regs, 9);
		call->arguments[5] = LOAD(regs, 8);
		return;
	}
	call->arguments[0] = LOAD(regs, 0);
	call->arguments[1] = LOAD(regs, 1);
	call->arguments[2] = LOAD(regs, 2);
	call->arguments[3] = LOAD(regs, 3);
	call->arguments[4] = LOAD(regs, 4);
	call->arguments[5] = LOAD(regs, 5);
}

static __always_inline __u64 read_returned(void *regs)
{
	return machine == MACHINE_X86_64 ? LOAD(regs, 10) : LOAD(regs, 0);
}

static __always_inline int call_begins(void *ctx, __u64 cookie)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	read_arguments(ctx, call);
	if (cookie & COOKIE_SYSCALL)
		read_syscall_arguments(call);
	return enter(ctx, call, cookie);
}

static __always_inline int call_returns(void *ctx, __u64 cookie)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	call->returned = read_returned(ctx);
	return enter_return(ctx, call, cookie);
}

SEC("?kprobe/5.15")
int on_call(void *ctx)
{
	return call_begins(ctx, bpf_get_attach_cookie(ctx));
}

SEC("?kprobe")
int on_call_fixed(void *ctx)
{
	return call_begins(ctx, fixed_cookie);
}

SEC("?kprobe/5.15")
int on_return(void *ctx)
{
	return call_returns(ctx, bpf_get_attach_cookie(ctx));
}

SEC("?kprobe")
int on_return_fixed(void *ctx)
{
	return call_returns(ctx, fixed_cookie);
}

/* As enforcing_policy of call_trampoline.bpf.c; with ENFORCES_OVERRIDE of a hook with Override. */
const volatile __u32 enforcing_call_policy;

/* At a system call: does what awaits the thread, on kernels with CONFIG_BPF_KPROBE_OVERRIDE. What
 * an enforcer has for it may be a signal alone; Override keeps it from running whatever it returns.
 */
SEC("?kprobe")
int on_enforced_call(void *ctx)
{
	__s32 error = 0;

	if (take_enforcement(enforcing_call_policy, &error) &&
	    (error || enforcing_call_policy & ENFORCES_OVERRIDE))
		bpf_override_return(ctx, (__s64)error);
	return 0;
}

/* As enforcing_call_policy. */
const volatile __u32 enforcing_program_policy;

/* At a function of a program: what was left for the thread is the number of the selector. */
SEC("?kprobe")
int on_enforced_program(void *ctx)
{
	__s32 selector = 0;

	if (take_enforcement(enforcing_program_policy, &selector))
		write_registers(ctx, selector);
	return 0;
}
