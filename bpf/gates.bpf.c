// SPDX-License-Identifier: GPL-2.0-only
/* The programs that are attached where the kernel skips those that are preempted: see gates.h. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "gates.h"
#include "output.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

#define CLAIMS 16384 /* a power of two */

/* The last event of a task that went through a gate, by thread number. Who shares a place with
 * another may have an event reported twice, but none is lost by it. The size is set before loading.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} claims SEC(".maps");

/* An event of a task is distinguished from its last one: start times are in ns and below 2^62, and
 * the mm of an execve, an address of the kernel, is in use until the next one has its own.
 */
#define FORK_CLAIM(start) ((start) << 1)
#define EXIT_CLAIM(start) ((start) << 1 | 1)
#define EXEC_CLAIM(mm) ((__u64)(mm))

/* The gates of a hook run one after the other in the same task, so that a claim needs no lock. */
static __always_inline void enter(void *ctx, int gate, enum gated_hook hook, __u32 thread,
				  __u64 event)
{
	__u32 place = thread & (CLAIMS - 1), zero = 0, number = hook * gates + gate;
	struct entries *all = bpf_map_lookup_elem(&entries, &zero);
	__u64 *claim = bpf_map_lookup_elem(&claims, &place);
	volatile struct entry *entry;

	if (!all || !claim || number >= ENTRIES)
		return;
	if (gate) {
		if (*claim == event)
			return;
		count(COUNT_EXEC_RESCUED + hook);
	}
	*claim = event;
	/* In this order: whoever was noted here before is not noted with the new time. */
	entry = &all->of[number];
	entry->task = bpf_get_current_pid_tgid();
	entry->when = bpf_ktime_get_ns() << ENTRY_BITS | number;
	go_on_in(ctx, hook == HOOK_EXEC	  ? CALL_ON_EXEC
		      : hook == HOOK_FORK ? CALL_ON_FORK
					  : CALL_ON_EXIT);
}

static __always_inline void enter_exec(struct bpf_raw_tracepoint_args *ctx, int gate)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];

	enter(ctx, gate, HOOK_EXEC, BPF_CORE_READ(task, tgid), EXEC_CLAIM(BPF_CORE_READ(task, mm)));
}

/* Threads too, here and below: the kernel counts what it skips of them. */
static __always_inline void enter_fork(struct bpf_raw_tracepoint_args *ctx, int gate)
{
	struct task_struct *task = (struct task_struct *)ctx->args[1];

	enter(ctx, gate, HOOK_FORK, BPF_CORE_READ(task, pid), FORK_CLAIM(task_start(task)));
}

static __always_inline void enter_exit(struct bpf_raw_tracepoint_args *ctx, int gate)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];

	enter(ctx, gate, HOOK_EXIT, BPF_CORE_READ(task, pid), EXIT_CLAIM(task_start(task)));
}

#define GATE(hook, number)                                                \
	SEC("?raw_tp/sched_process_" #hook)                               \
	int on_##hook##_gate##number(struct bpf_raw_tracepoint_args *ctx) \
	{                                                                 \
		disable_preemption();                                     \
		enter_##hook(ctx, number);                                \
		enable_preemption();                                      \
		return 0;                                                 \
	}

#define GATES_OF(hook) \
	GATE(hook, 0)  \
	GATE(hook, 1)  \
	GATE(hook, 2)  \
	GATE(hook, 3)  \
	GATE(hook, 4)  \
	GATE(hook, 5)  \
	GATE(hook, 6)  \
	GATE(hook, 7)

GATES_OF(exec)
GATES_OF(fork)
GATES_OF(exit)
