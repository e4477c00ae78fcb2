/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments, read from where the kernel put them for the new image. */
#ifndef TETRAPY_ARGS_H
#define TETRAPY_ARGS_H

#include "output.h"
#include "scratch.h"

#define ARGS_PIECES (ARGS_LIMIT / ARGS_PIECE + 1)

/* Sends long arguments ahead of their exec event. How far it got is kept in the
 * map, not in a register: there the verifier forgets the value, so that it sees
 * the same state in every turn of the loop.
 */
static __always_inline void submit_args(void *ctx, struct scratch *scratch, unsigned long start)
{
	volatile __u32 *sent = &scratch->event.args_size;
	struct args_piece *piece = &scratch->piece;
	int i;

	piece->event.header = scratch->event.header;
	piece->event.header.kind = EVENT_ARGS;
	piece->event.pid = scratch->event.pid;
	piece->event.__pad = 0;
	for (i = 0; i < ARGS_PIECES; i++) {
		__u64 offset = *sent;
		__u64 size = scratch->args_total - offset;

		if (!size)
			break;
		if (size > ARGS_PIECE)
			size = ARGS_PIECE;
		size &= ARGS_PIECE;
		if (bpf_probe_read_user(piece->data, size, (void *)(start + offset))) {
			scratch->event.flags |= EXEC_ARGS_ERROR;
			break;
		}
		piece->event.offset = offset;
		piece->event.args_size = size;
		submit(ctx, &piece->event.header, sizeof(piece->event) + size);
		*sent = offset + size;
	}
	scratch->event.flags |= EXEC_ARGS_APART;
}

static __always_inline void append_args(void *ctx, struct scratch *scratch,
					struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	unsigned long start = BPF_CORE_READ(mm, arg_start);
	unsigned long end = BPF_CORE_READ(mm, arg_end);
	__u64 size = end - start;

	if (!start || end <= start)
		return;
	if (size > ARGS_LIMIT) {
		size = ARGS_LIMIT;
		scratch->event.flags |= EXEC_ARGS_TRUNCATED;
	}
	if (size > ARGS_INLINE_LIMIT) {
		scratch->args_total = size;
		submit_args(ctx, scratch, start);
		return;
	}
	size &= ARGS_INLINE_LIMIT;
	if (bpf_probe_read_user(&scratch->data[scratch->used & PATH_LIMIT], size, (void *)start)) {
		scratch->event.flags |= EXEC_ARGS_ERROR;
		return;
	}
	scratch->event.args_size = size;
	scratch->used += size;
}

#endif
