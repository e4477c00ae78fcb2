/* SPDX-License-Identifier: GPL-2.0-only */
/* Vectors of buffers: the bytes of all, behind one another. */
#ifndef TETRAPY_CALL_VECTOR_H
#define TETRAPY_CALL_VECTOR_H

#include "call_value.h"

/* Buffers that are looked at; a vector has 1024 at most. What is behind them counts as one byte. */
#define VECTOR_BUFFERS 48

/* struct iovec and struct kvec (include/uapi/linux/uio.h) */
struct buffer {
	void *base;
	__u64 size;
};

/* Adds what is left of a buffer. */
static __always_inline void append_buffer(struct call *call, struct call_value *value, void *base,
					  __u64 size)
{
	__u64 skip = *(volatile __u64 *)&call->vector_skip;
	__u64 left = *(volatile __u64 *)&call->vector_left;
	__u64 read = *(volatile __u64 *)&call->vector_read;

	if (skip >= size) {
		call->vector_skip = skip - size;
		return;
	}
	call->vector_skip = 0;
	base += skip;
	size -= skip;
	if (size > left)
		size = left;
	call->vector_left = left - size;
	call->vector_size += size;
	if (read > PATH_LIMIT)
		return;
	if (size > PATH_LIMIT - read)
		size = PATH_LIMIT - read;
	/* The compiler knows that this is no more than PATH_LIMIT; the verifier has to see it. */
	*(volatile __u64 *)&call->vector_next = size;
	size = *(volatile __u64 *)&call->vector_next & PATH_LIMIT;
	if (read_memory((void *)(value + 1) + (read & PATH_LIMIT), size, base)) {
		value->flags |= CALL_VALUE_ERROR;
		return;
	}
	call->vector_read = read + size;
}

/* All that changes is in the map: what is read from there is unknown to the verifier, so that it
 * sees the same state at every step.
 */
static __always_inline void append_buffers(struct call *call, struct call_value *value)
{
	struct buffer one = {};
	__u32 i;

	for (i = 0; i < VECTOR_BUFFERS; i++) {
		const struct buffer *at = *(const struct buffer *volatile *)&call->vector_at;
		__u64 count = *(volatile __u64 *)&call->vector_count;

		if (!count || !*(volatile __u64 *)&call->vector_left)
			return;
		call->vector_at = at + 1;
		call->vector_count = count - 1;
		if (read_memory(&one, sizeof(one), at)) {
			value->flags |= CALL_VALUE_ERROR;
			call->vector_size++; /* there would have been more */
			return;
		}
		/* A process that gives the buffers has none in the kernel. */
		if (is_user(at) && !is_user(one.base))
			one.base = 0;
		append_buffer(call, value, one.base, one.size);
	}
	if (*(volatile __u64 *)&call->vector_count)
		call->vector_size++;
}

static __always_inline void append_iterator(struct call *call, struct call_value *value,
					    struct iov_iter *iterator)
{
	struct iov_iter___v513 *typed = (void *)iterator;
	struct iov_iter___v63 *named = (void *)iterator;
	__u64 left = BPF_CORE_READ(iterator, count);
	__u32 type;

	if (bpf_core_field_exists(iterator->iter_type))
		type = BPF_CORE_READ(iterator, iter_type);
	else
		type = BPF_CORE_READ(typed, type) & ~1U;
	call->vector_skip = BPF_CORE_READ(iterator, iov_offset);
	if (left < call->vector_left)
		call->vector_left = left;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		append_buffer(call, value, BPF_CORE_READ(iterator, ubuf), call->vector_skip + left);
		return;
	}
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC) &&
	    type != bpf_core_enum_value(enum iter_type, ITER_KVEC))
		return; /* pages, which have no address */
	if (bpf_core_field_exists(iterator->__iov))
		call->vector_at = BPF_CORE_READ(iterator, __iov);
	else
		call->vector_at = BPF_CORE_READ(named, iov);
	call->vector_count = BPF_CORE_READ(iterator, nr_segs);
	append_buffers(call, value);
}

static __always_inline void append_vector(struct call *call, const struct hook_value *wanted,
					  __u32 index)
{
	struct call_value *value = begin_value(call, index);
	void *pointer = (void *)call->numbers[index & (HOOK_VALUES - 1)];
	__u32 which = wanted->length;
	__u64 size, read;

	call->vector_skip = call->vector_size = call->vector_read = 0;
	call->vector_left = ~0ULL;
	/* What was asked for was filled in as far as the function says. */
	if (call->at_return)
		call->vector_left = (__s64)call->returned < 0 ? 0 : call->returned;
	call->vector_at = pointer;
	call->vector_count = which ? call->arguments[(which - 1) & (CALL_ARGUMENTS - 1)] : 1;
	if (wanted->kind == VALUE_IOV_ITER) {
		if (bpf_core_field_exists(struct iov_iter, count))
			append_iterator(call, value, pointer);
	} else {
		append_buffers(call, value);
	}
	size = *(volatile __u64 *)&call->vector_size;
	read = *(volatile __u64 *)&call->vector_read & PATH_LIMIT;
	value->detail = size > 0xffffffff ? 0xffffffff : size;
	if (size > read)
		value->flags |= CALL_VALUE_CUT;
	if (read)
		value->flags &= ~CALL_VALUE_ERROR; /* it says how much there was */
	end_value(call, value, index, read);
}

#endif
