/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that are loaded where a hook needs them, so that others do not pay for their verification.
 * Part of call_steps.h.
 */
#include "call_act.h"
#include "call_packet.h"
#include "call_search.h"
#include "call_structure.h"
#include "call_track.h"
#include "call_vector.h"

/* Of 127 addresses, the most that the kernel walks by default (PERF_MAX_STACK_DEPTH), and one. */
#define STACK_BYTES 1024

/* Bytes of a record with more of a value, and how many records one program sends: those of the
 * largest value take 10 of the programs that may follow one another.
 */
#define BULK_CHUNK 8192
#define BULK_CHUNKS (BULK_STEP_BYTES / BULK_CHUNK)

static __always_inline void read_call_packets(void *ctx, struct call *call, struct hook *hook)
{
	read_packets(call, hook);
	begin_values(ctx, call, hook, call->at_return);
}

CALL_STEP(packet, read_call_packets)

static __always_inline void read_structure(void *ctx, struct call *call, struct hook *hook)
{
	__u32 index = (call->next - 1) & (HOOK_VALUES - 1);

	append_structure(call, &hook->values[index], index);
	go_on(ctx, call, STEP_VALUES);
}

CALL_STEP(structure, read_structure)

/* Looks into texts. What no step is left for counts as what the filter wants, as a path that is too
 * deep does.
 */
static __always_inline void search(void *ctx, struct call *call, struct hook *hook)
{
	if (!search_texts(call, hook))
		take_spare_step(ctx, call, STEP_SEARCH);
	end_match(ctx, call, hook);
}

CALL_STEP(search, search)

static __always_inline void match_return(void *ctx, struct call *call, struct hook *hook)
{
	make_numbers(call, hook);
	match_returned(ctx, call, hook);
}

CALL_STEP(return, match_return)

static __always_inline void append_stack(void *ctx, struct call *call, __u32 index, __u64 flags)
{
	struct call_value *value = begin_value(call, index);
	long size = bpf_get_stack(ctx, value + 1, STACK_BYTES, flags);

	if (size < 0) {
		value->flags = CALL_VALUE_ERROR;
		size = 0;
	}
	end_value(call, value, index, size & (2 * STACK_BYTES - 1));
}

SEC(CALL_SECTION)
int CALL_NAME(stack)(void *ctx)
{
	struct call *call = claimed_call(ctx);
	struct hook *hook;
	__u32 flags;

	if (!call)
		return 0;
	hook = find_hook(call->slot);
	if (hook) {
		flags = hook->actions[call->event.selector & 7].flags;
		if (flags & ACTION_KERNEL_STACK)
			append_stack(ctx, call, STACK_OF_KERNEL, 0);
		if (flags & ACTION_USER_STACK)
			append_stack(ctx, call, STACK_OF_USER, BPF_F_USER_STACK);
		if (hook->head.bulk)
			go_on(ctx, call, STEP_BULK);
		finish_call(ctx, call, hook);
	}
	return end_call(call);
}

static __always_inline void read_vector(void *ctx, struct call *call, struct hook *hook)
{
	__u32 index = (call->next - 1) & (HOOK_VALUES - 1);

	append_vector(call, &hook->values[index], index);
	go_on(ctx, call, STEP_VALUES);
}

CALL_STEP(vector, read_vector)

/* More bytes of a value. */
struct call_chunk {
	struct call_event event;
	struct call_value value;
	__u8 data[BULK_CHUNK];
};

/* Sends the next bytes of a value, put together where nothing of the call is. Returns 0 when there
 * are no more, or no room.
 */
static __always_inline int send_chunk(void *ctx, struct call *call, const struct hook *hook)
{
	__u32 index = (hook->head.bulk - 1) & (HOOK_VALUES - 1);
	__u64 at = *(volatile __u64 *)&call->bulk_at;
	__u64 end = call->arguments[(hook->values[index].length - 1) & (CALL_ARGUMENTS - 1)];
	const void *from = (void *)call->numbers[index] + at;
	__u32 used = *(volatile __u32 *)&call->used;
	struct call_chunk *chunk;
	__u64 size;

	if (end > BULK_BYTES)
		end = BULK_BYTES;
	if (at >= end || used > CALL_DATA_SIZE - sizeof(*chunk))
		return 0;
	chunk = (void *)&call->data[used];
	size = end - at;
	if (size > BULK_CHUNK)
		size = BULK_CHUNK;
	if (read_memory(chunk->data, size, from))
		return 0;
	chunk->event = call->event;
	chunk->event.flags = CALL_CHUNK;
	chunk->event.values_size = sizeof(chunk->value) + size;
	chunk->value.index = index;
	chunk->value.flags = 0;
	chunk->value.size = size;
	chunk->value.detail = 0;
	chunk->value.__pad = 0;
	call->bulk_at = at + size;
	size += sizeof(chunk->event) + sizeof(chunk->value);
	if (!admit(size, EVENT_CALL))
		return 0;
	note_use(hook, size);
	submit(ctx, &chunk->event.header, size);
	return 1;
}

SEC(CALL_SECTION)
int CALL_NAME(bulk)(void *ctx)
{
	struct call *call = claimed_call(ctx);
	struct hook *hook;
	__u32 more = 1;
	__u32 i;

	if (!call)
		return 0;
	hook = find_hook(call->slot);
	if (hook) {
		for (i = 0; i < BULK_CHUNKS && more; i++)
			more = send_chunk(ctx, call, hook);
		if (more)
			go_on(ctx, call, STEP_BULK);
		finish_call(ctx, call, hook);
	}
	return end_call(call);
}
