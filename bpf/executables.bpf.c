// SPDX-License-Identifier: GPL-2.0-only
/* Lists the processes whose executable nobody executed, which procfs does not show. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "executables.h"

char LICENSE[] SEC("license") = "GPL";

/* include/linux/bpf.h */
struct bpf_iter_meta {
	struct seq_file *seq;
};

/* kernel/bpf/task_iter.c */
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

/* Writes the pids, of threads too, one behind the other. Linux 5.8. */
SEC("?iter/task")
int list_unexecuted(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file;
	__u32 pid;

	if (!task)
		return 0;
	file = BPF_CORE_READ(task, mm, exe_file);
	if (!file || is_opened_to_execute(file))
		return 0;
	pid = BPF_CORE_READ(task, pid);
	bpf_seq_write(ctx->meta->seq, &pid, sizeof(pid));
	return 0;
}
