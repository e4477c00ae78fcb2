/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments, read from where the kernel put them for the new image. */
#ifndef TETRAPY_ARGS_H
#define TETRAPY_ARGS_H

#include "output.h"
#include "scratch.h"

#define ARGS_PIECES (ARGS_LIMIT / ARGS_PIECE + 1)

struct args_range {
	unsigned long start;
	__u64 size;
};

static __always_inline struct args_range find_args(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	unsigned long end = BPF_CORE_READ(mm, arg_end);
	struct args_range args = { .start = BPF_CORE_READ(mm, arg_start) };

	if (args.start && end > args.start)
		args.size = end - args.start;
	return args;
}

/* Sends long arguments ahead of their exec event. How far it got is kept in the
 * map, not in a register: there the verifier forgets the value, so that it sees
 * the same state in every turn of the loop.
 */
static __always_inline void submit_args(void *ctx, struct scratch *scratch, struct args_range args,
					__u32 pid, __u64 ktime)
{
	volatile __u32 *sent = &scratch->args_sent;
	struct args_piece *piece = &scratch->piece;
	int i;

	scratch->args_flags = EXEC_ARGS_APART;
	if (args.size > ARGS_LIMIT) {
		args.size = ARGS_LIMIT;
		scratch->args_flags |= EXEC_ARGS_TRUNCATED;
	}
	scratch->args_total = args.size;
	fill_header(&piece->event.header, EVENT_ARGS, ktime);
	piece->event.pid = pid;
	piece->event.__pad = 0;
	for (i = 0; i < ARGS_PIECES; i++) {
		__u64 offset = *sent;
		__u64 size = scratch->args_total - offset;

		if (!size)
			break;
		if (size > ARGS_PIECE)
			size = ARGS_PIECE;
		piece->event.offset = offset;
		piece->event.args_size = size;
		size = *(volatile __u32 *)&piece->event.args_size & ARGS_PIECE;
		if (bpf_probe_read_user(piece->data, size, (void *)(args.start + offset))) {
			scratch->args_flags |= EXEC_ARGS_ERROR;
			break;
		}
		submit(ctx, &piece->event.header, sizeof(piece->event) + size);
		*sent = offset + size;
	}
}

/* Puts arguments that are short enough behind the path. */
static __always_inline void append_args(struct scratch *scratch, struct args_range args)
{
	__u64 size = args.size & ARGS_INLINE_LIMIT;

	if (!size || args.size > ARGS_INLINE_LIMIT)
		return;
	if (bpf_probe_read_user(&scratch->data[scratch->used & PATH_LIMIT], size,
				(void *)args.start)) {
		scratch->event.flags |= EXEC_ARGS_ERROR;
		return;
	}
	scratch->event.args_size = size;
	scratch->used += size;
}

#endif
