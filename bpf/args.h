/* SPDX-License-Identifier: GPL-2.0-only */
/* The arguments, read from where the kernel put them for the new image. */
#ifndef TETRAPY_ARGS_H
#define TETRAPY_ARGS_H

#include "output.h"
#include "scratch.h"

#define ARGS_CHUNKS (ARGS_LIMIT / ARGS_CHUNK + 1)

static __always_inline struct area find_area(unsigned long start, unsigned long end)
{
	struct area area = { .start = start };

	if (start && end > start)
		area.size = end - start;
	return area;
}

#define SHORT_PATHS 256 /* what path, directory and cgroup usually take; see charge_rest() */

/* Bytes that an exec event with its areas is going to have, about. */
static __always_inline __u64 size_of_exec(struct area args, struct area env)
{
	__u64 size = sizeof(struct exec_event) + SHORT_PATHS;

	size += args.size < ARGS_LIMIT ? args.size : ARGS_LIMIT;
	size += env.size < ARGS_LIMIT ? env.size : ARGS_LIMIT;
	return size;
}

static __always_inline struct area find_args(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	return find_area(BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
}

static __always_inline struct area find_env(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	return find_area(BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
}

/* Sends the next chunk of an area. Returns 1 when that was all. How far it got is kept in the map,
 * not in a register: there the verifier forgets the value, so that it sees the same state in every
 * turn of the loop.
 */
static __always_inline int send_args_chunk(void *ctx, struct scratch *scratch, unsigned long start)
{
	volatile __u32 *sent = &scratch->area_sent;
	struct args_chunk *chunk = &scratch->chunk;
	__u64 offset = *sent;
	__u64 size = scratch->area_total - offset;

	if (!size)
		return 1;
	if (size > ARGS_CHUNK)
		size = ARGS_CHUNK;
	chunk->event.offset = offset;
	chunk->event.args_size = size;
	size = *(volatile __u32 *)&chunk->event.args_size & ARGS_CHUNK;
	if (bpf_probe_read_user(chunk->data, size, (void *)(start + offset))) {
		scratch->area_flags |= EXEC_ARGS_ERROR;
		return 1;
	}
	/* Counted behind the loop: the verifier walks every turn of it. */
	scratch->area_lost +=
		(__u64)output_record(ctx, &chunk->event.header, sizeof(chunk->event) + size) >> 63;
	*sent = offset + size;
	return 0;
}

struct args_loop {
	void *ctx;
	struct scratch *scratch;
	unsigned long start;
};

static long send_args_in_loop(__attribute__((unused)) __u32 turn, struct args_loop *loop)
{
	return send_args_chunk(loop->ctx, loop->scratch, loop->start);
}

/* Sends an area ahead of its exec event; returns the size of what was sent, and leaves in
 * scratch->area_flags whether it was all.
 */
static __always_inline __u32 submit_area(void *ctx, struct scratch *scratch, struct area area,
					 enum args_area what, const struct exec_task *exec,
					 enum loop_kind loop)
{
	struct args_loop state = { .ctx = ctx, .scratch = scratch, .start = area.start };
	struct args_chunk *chunk = &scratch->chunk;
	int i;

	scratch->area_sent = 0;
	scratch->area_lost = 0;
	scratch->area_flags = 0;
	if (area.size > ARGS_LIMIT) {
		area.size = ARGS_LIMIT;
		scratch->area_flags = EXEC_ARGS_TRUNCATED;
	}
	scratch->area_total = area.size;
	fill_header(&chunk->event.header, EVENT_ARGS, exec->ktime);
	chunk->event.pid = exec->pid;
	chunk->event.area = what;
	if (loop == LOOP_BY_HELPER) {
		bpf_loop(ARGS_CHUNKS, send_args_in_loop, &state, 0);
	} else {
		TURN_BY_TURN
		for (i = 0; i < ARGS_CHUNKS; i++)
			if (send_args_chunk(ctx, scratch, area.start))
				break;
	}
	if (scratch->area_lost)
		count_losses(EVENT_ARGS, scratch->area_lost);
	return *(volatile __u32 *)&scratch->area_sent;
}

/* Puts arguments that are short enough behind the path. */
static __always_inline void append_args(struct scratch *scratch, struct area args)
{
	__u64 size = args.size & ARGS_INLINE_LIMIT;

	if (!size || args.size > ARGS_INLINE_LIMIT)
		return;
	if (bpf_probe_read_user(&scratch->data[data_end(scratch)], size, (void *)args.start)) {
		scratch->event.flags |= EXEC_ARGS_ERROR;
		return;
	}
	scratch->event.args_size = size;
	scratch->used += size;
}

#endif
