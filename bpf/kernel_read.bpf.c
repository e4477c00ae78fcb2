// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads kernel memory on request, to find out where this kernel keeps things
 * when no BTF says so. It refers to no member of a kernel structure, so it has
 * no relocations and loads on every kernel.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define SHARED

char LICENSE[] SEC("license") = "GPL";

#define PEEK_SIZE 4096
#define EXEC_WORDS 64
#define EXEC_STRING 64
#define EXEC_TARGET 24 /* words; f_inode is at most 168 bytes from the start of a struct file */

/* Filled in by user space down to `size`; the rest is the answer. */
struct read_request {
	__u64 trigger; /* number of the system call that asks; when attached */
	__u8 caller[16]; /* name of the thread that asks; when attached */
	__u64 address;
	__u32 size;
	__s32 error; /* of the read; user space sets 1 to see whether it ran */
	__u64 task; /* who asked: the address of its task_struct ... */
	__u64 pid_tgid; /* ... and its numbers */
	__u8 data[PEEK_SIZE];
};

struct variables {
	struct read_request request;
	/* The first words of the struct linux_binprm of an exec of the thread group
	 * exec_tgid, the string each points to, and the first words of what it may be
	 * instead. Of that, a struct file is gone when the process is.
	 */
	__u32 exec_tgid;
	__u32 exec_seen;
	__u64 exec_words[EXEC_WORDS];
	__u8 exec_strings[EXEC_WORDS][EXEC_STRING];
	__u64 exec_targets[EXEC_WORDS][EXEC_TARGET];
};

#include "variables.h"

static __always_inline void answer(volatile struct read_request *request)
{
	__u64 size = request->size;

	if (size > PEEK_SIZE)
		size = PEEK_SIZE;
	request->task = bpf_get_current_task();
	request->pid_tgid = bpf_get_current_pid_tgid();
	request->error =
		bpf_probe_read_kernel((void *)request->data, size, (void *)request->address);
}

/* By BPF_PROG_TEST_RUN: it runs in the task that asks. */
SEC("raw_tp")
int read_memory(__attribute__((unused)) struct bpf_raw_tracepoint_args *ctx)
{
	volatile struct variables *all = find_variables();

	if (all)
		answer(&all->request);
	return 0;
}

/* For kernels that cannot run a raw tracepoint's program on request (before
 * 5.10). The thread is identified by its name and not by its number, which user space
 * does not know when it is in a pid namespace.
 */
SEC("raw_tp/sys_enter")
int read_memory_attached(struct bpf_raw_tracepoint_args *ctx)
{
	volatile struct variables *all = find_variables();
	volatile __u64 *caller;
	__u64 name[2] = {};

	if (!all || ctx->args[1] != all->request.trigger)
		return 0;
	caller = (volatile __u64 *)all->request.caller;
	if (bpf_get_current_comm(name, sizeof(name)) || name[0] != caller[0] ||
	    name[1] != caller[1])
		return 0;
	answer(&all->request);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int capture_exec(struct bpf_raw_tracepoint_args *ctx)
{
	volatile struct variables *all = find_variables();
	__u64 binprm = ctx->args[2];
	int i;

	if (!all || bpf_get_current_pid_tgid() >> 32 != all->exec_tgid || all->exec_seen)
		return 0;
#pragma unroll
	for (i = 0; i < EXEC_WORDS; i++) {
		__u64 word = 0;

		/* One at a time: the structure may end at an unreadable page. */
		bpf_probe_read_kernel(&word, sizeof(word), (void *)(binprm + i * sizeof(word)));
		all->exec_words[i] = word;
		/* User space is in the lower half. */
		if (word >> 63) {
			bpf_probe_read_kernel_str((void *)all->exec_strings[i], EXEC_STRING,
						  (void *)word);
			bpf_probe_read_kernel((void *)all->exec_targets[i],
					      sizeof(all->exec_targets[i]), (void *)word);
		}
	}
	all->exec_seen = 1;
	return 0;
}
