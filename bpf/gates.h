/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Since Linux 7.0 a task may be preempted inside a tracepoint's program, and until it goes on the
 * kernel skips that program for every other task of the CPU. What is skipped is the attached
 * program, not one that it calls. So there not the programs are attached but gates (gates.bpf.c):
 * several small ones for each hook, one behind the other. The first gate that is not skipped claims
 * the event and goes on in the hook's program; those behind it see the claim and return.
 *
 * Tasks that are inside at the same time on a CPU came in by different gates: what a program leaves
 * on its CPU, such as a scratch buffer, is there once for each gate.
 */
#ifndef TETRAPY_GATES_H
#define TETRAPY_GATES_H

#include "calls.h"
#include "preempt.h"

#ifndef SHARED
#define SHARED extern
#endif

enum gated_hook {
	HOOK_EXEC = 0, /* first, then forks: only these have scratch buffers */
	HOOK_FORK = 1,
	HOOK_EXIT = 2,
	HOOKS = 3,
};

#define GATES 8 /* of each hook, at most: `gates` are used */
#define ENTRIES (HOOKS * GATES)
#define ENTRY_BITS 5
#define ENTRY_MASK ((1 << ENTRY_BITS) - 1)

/* Who came in last by a gate on this CPU. */
struct entry {
	__u64 task; /* as bpf_get_current_pid_tgid() */
	__u64 when; /* ns << ENTRY_BITS | number of the entry */
};

struct entries {
	struct entry of[ENTRIES];
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct entries);
} entries SEC(".maps");

/* By which entry the current task came in: hook * gates + gate; 0 where there are no gates. A task
 * that is still noted at another one came in there earlier.
 */
static __always_inline __u32 current_entry(void)
{
	__u64 task, when, last = 0;
	struct entries *all;
	__u32 zero = 0;
	__u32 i;

	if (!gates)
		return 0;
	all = bpf_map_lookup_elem(&entries, &zero);
	if (!all)
		return 0;
	task = bpf_get_current_pid_tgid();
#pragma clang loop unroll(disable)
	for (i = 0; i < ENTRIES && i < HOOKS * gates; i++) {
		when = all->of[i].when;
		if (all->of[i].task == task && when > last)
			last = when;
	}
	return last & ENTRY_MASK;
}

/* Goes on in another program; returns where it is not loaded. */
static __always_inline void go_on_in(void *ctx, __u32 program)
{
	enable_preemption();
	bpf_tail_call(ctx, &exec_calls, program);
	disable_preemption();
}

/* Every program that a gate leads to makes a tail call. One that made none would be given a stack
 * for each CPU (Linux 6.13), which those who came in by several gates would share: this is a tail
 * call for it, which is never taken.
 */
#define BEHIND_GATE(program, body)                                   \
	int program(struct bpf_raw_tracepoint_args *ctx)             \
	{                                                            \
		disable_preemption();                                \
		body(ctx);                                           \
		enable_preemption();                                 \
		if (gates > GATES)                                   \
			bpf_tail_call(ctx, &exec_calls, EXEC_CALLS); \
		return 0;                                            \
	}

_Static_assert(ENTRIES <= 1 << ENTRY_BITS, "the number of an entry has so many bits");

#endif
