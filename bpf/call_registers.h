/* SPDX-License-Identifier: GPL-2.0-only */
/* Override of a uprobe: registers of the process are changed, so that it goes on elsewhere, or with
 * other values. Part of call_kprobe.bpf.c.
 *
 * Linux 6.18 brought it (commit 7384893d970e, "bpf: Allow uprobe program to change context
 * registers"). A program that may do so is attached to nothing but uprobes, so it is one of its own
 * behind the one that decides; what it does are constants, for the verifier wants to know which
 * register is written where.
 */
#ifndef TETRAPY_CALL_REGISTERS_H
#define TETRAPY_CALL_REGISTERS_H

#include "hook.h"

enum register_source {
	WRITE_NOTHING = 0,
	WRITE_NUMBER = 1,
	WRITE_REGISTER = 2, /* what is in a register, and the number */
	WRITE_MEMORY = 3, /* what is in the memory of the process at that address */
};

/* What a register becomes. Places are numbers of words in the saved registers. */
struct register_write {
	__s64 number;
	enum register_source source;
	__u32 to;
	__u32 from;
	__u32 __pad;
};

/* By selector, in the order in which they are done. */
const volatile struct register_write register_writes[HOOK_SELECTORS * HOOK_REGISTERS];

/* In assembler, as LOAD. */
#define STORE(number)                                          \
	if (to == (number))                                    \
	asm volatile("*(u64 *)(%0 + %1) = %2"                  \
		     :                                         \
		     : "r"(ctx), "i"(8 * (number)), "r"(value) \
		     : "memory")
#define STORE_4(first)      \
	STORE(first);       \
	STORE((first) + 1); \
	STORE((first) + 2); \
	STORE((first) + 3)

/* A register that programs have: of x86_64 0 to 14, rip and rsp, of arm64 x0 to x30, sp and pc.
 * Those that say what a process may do are none of them.
 */
static __always_inline void store_register(void *ctx, __u32 to, __u64 value)
{
	STORE_4(0);
	STORE_4(4);
	STORE_4(8);
	STORE(12);
	STORE(13);
	STORE(14);
	STORE(16);
	STORE(19);
	if (machine == MACHINE_X86_64)
		return;
	STORE(15);
	STORE(17);
	STORE(18);
	STORE_4(20);
	STORE_4(24);
	STORE_4(28);
	STORE(32);
}

/* Returns non-zero where memory cannot be read: the rest is left alone. A function of its own: the
 * verifier looks at it for each constant number.
 */
static __noinline int write_register(void *ctx, __u32 number)
{
	const volatile struct register_write *write;
	__u64 value;

	if (number >= HOOK_SELECTORS * HOOK_REGISTERS)
		return 1;
	write = &register_writes[number];
	value = write->number;
	if (write->source == WRITE_NOTHING)
		return 1;
	if (write->source != WRITE_NUMBER)
		value += read_word(ctx, 8 * write->from);
	if (write->source == WRITE_MEMORY &&
	    bpf_probe_read_user(&value, sizeof(value), (void *)value))
		return 1;
	store_register(ctx, write->to, value);
	return 0;
}

static __always_inline void write_registers(void *ctx, __u32 selector)
{
	__u32 which, i;

	for (which = 0; which < HOOK_SELECTORS; which++) {
		/* The compiler would write those of `selector`, which is no constant. */
		barrier_var(which);
		if (which != selector)
			continue;
		for (i = 0; i < HOOK_REGISTERS; i++)
			if (write_register(ctx, which * HOOK_REGISTERS + i))
				return;
	}
}

#endif
