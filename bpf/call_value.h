/* SPDX-License-Identifier: GPL-2.0-only */
/* The values of a call, read and put behind one another into the record. */
#ifndef TETRAPY_CALL_VALUE_H
#define TETRAPY_CALL_VALUE_H

#include "call.h"
#include "call_socket.h"
#include "kernel_values.h"

static __always_inline __u32 call_end(struct call *call)
{
	__u32 used = *(volatile __u32 *)&call->used;

	return used > CALL_DATA_MOST ? CALL_DATA_MOST : used;
}

/* Bytes of all values: of those that had room. */
static __always_inline __u32 call_size(struct call *call)
{
	__u32 used = *(volatile __u32 *)&call->used;

	return used > CALL_DATA_SIZE ? CALL_DATA_SIZE : used;
}

/* Begins a value; its bytes go where this returns. */
static __always_inline struct call_value *begin_value(struct call *call, __u32 index)
{
	struct call_value *value = (void *)&call->data[call_end(call)];

	value->index = index;
	value->flags = 0;
	value->size = 0;
	value->detail = 0;
	value->__pad = 0;
	call->text_at[index & (HOOK_VALUES - 1)] = call->used + sizeof(*value);
	call->text_size[index & (HOOK_VALUES - 1)] = 0;
	call->used += sizeof(*value);
	return value;
}

static __always_inline void end_value(struct call *call, struct call_value *value, __u32 index,
				      __u32 size)
{
	value->size = size;
	call->text_size[index & (HOOK_VALUES - 1)] = size;
	call->used += size;
}

static __always_inline void append_number(struct call *call, struct call_value *value, __u32 index)
{
	if (call->unreadable >> (index & (HOOK_VALUES - 1)) & 1)
		value->flags = CALL_VALUE_ERROR;
	*(__u64 *)(value + 1) = call->numbers[index & (HOOK_VALUES - 1)];
	end_value(call, value, index, sizeof(__u64));
}

/* What reading a text came to: `size` is a helper's answer, of at most `most` bytes. */
static __always_inline void end_text(struct call *call, struct call_value *value, __u32 index,
				     long size, long most)
{
	if (size < 0)
		value->flags |= CALL_VALUE_ERROR;
	if (size <= 0) /* old kernels say 0 of a text that is empty */
		size = 1;
	if (size > most)
		value->flags |= CALL_VALUE_CUT;
	end_value(call, value, index, (size - 1) & (2 * TEXT_LIMIT - 1));
}

/* Returns what the helper does. */
static __always_inline long read_text(void *to, __u32 limit, const void *text)
{
	return is_user(text) ? bpf_probe_read_user_str(to, limit + 1, text)
			     : bpf_probe_read_kernel_str(to, limit + 1, text);
}

static __always_inline void append_text(struct call *call, __u32 index, void *text)
{
	struct call_value *value = begin_value(call, index);

	end_text(call, value, index, read_text(value + 1, TEXT_LIMIT, text), TEXT_LIMIT);
}

/* A tracepoint's dynamic array: the number is its size and its offset in the record. */
static __always_inline long read_dynamic(void *to, void *ctx, __u64 place)
{
	__u32 most = (place >> 16) & (TEXT_LIMIT - 1);

	return bpf_probe_read_kernel_str(to, most + 1, ctx + (place & 0xffff));
}

/* As many bytes as another argument says; `detail` is that number. */
static __always_inline void append_bytes(struct call *call, const struct hook_value *wanted,
					 struct call_value *value, __u32 index)
{
	void *bytes = (void *)call->numbers[index & (HOOK_VALUES - 1)];
	void *to = value + 1;
	__u64 size = 0;
	__u32 which = wanted->length;
	long err;

	if (which)
		size = call->arguments[(which - 1) & (CALL_ARGUMENTS - 1)];
	value->detail = size;
	/* What was asked for was filled in as far as the function says. */
	if (call->at_return && (__s64)call->returned < (__s64)size)
		size = (__s64)call->returned < 0 ? 0 : call->returned;
	if (size > PATH_LIMIT) {
		size = PATH_LIMIT;
		value->flags = CALL_VALUE_CUT;
	}
	size &= PATH_LIMIT;
	if (is_user(bytes))
		err = bpf_probe_read_user(to, size, bytes);
	else
		err = bpf_probe_read_kernel(to, size, bytes);
	if (err) {
		value->flags |= CALL_VALUE_ERROR;
		size = 0;
	}
	end_value(call, value, index, size);
}

static __always_inline void append_socket(struct call *call, const struct hook_value *wanted,
					  struct call_value *value, __u32 index)
{
	struct call_socket *found = &call->sockets[wanted->length & (HOOK_SOCKETS - 1)];

	if (!call->numbers[index & (HOOK_VALUES - 1)])
		value->flags = CALL_VALUE_ERROR;
	bpf_probe_read_kernel(value + 1, sizeof(*found), found);
	end_value(call, value, index, sizeof(*found));
}

/* The path of a unix socket's address; `detail` is the family. */
static __always_inline void append_unix_address(struct call *call, const struct hook_value *wanted,
						struct call_value *value, __u32 index)
{
	const char *path = (const char *)call->numbers[index & (HOOK_VALUES - 1)] + 2;
	__u8 *to = (void *)(value + 1);
	__u8 abstract = 1;
	long size;

	value->detail = call->sockets[wanted->length & (HOOK_SOCKETS - 1)].family;
	if (value->detail != AF_UNIX) {
		end_value(call, value, index, 0);
		return;
	}
	if (is_user(path)) {
		bpf_probe_read_user(&abstract, 1, path);
		size = bpf_probe_read_user_str(to, UNIX_PATH + 1, abstract ? path : path + 1);
	} else {
		bpf_probe_read_kernel(&abstract, 1, path);
		size = bpf_probe_read_kernel_str(to, UNIX_PATH + 1, abstract ? path : path + 1);
	}
	if (!abstract)
		value->flags |= CALL_VALUE_ABSTRACT;
	end_text(call, value, index, size, UNIX_PATH);
}

/* Kinds of values that need no program of their own. */
#define KIND(name) (1U << VALUE_##name)
#define APPENDED_KINDS                                                                             \
	(KIND(NUMBER) | KIND(POINTED) | KIND(STRING) | KIND(BYTES) | KIND(DATA_LOC) | KIND(SOCK) | \
	 KIND(SOCKET) | KIND(SOCKADDR) | KIND(SOCKADDR_UN))

static __always_inline void append(void *ctx, struct call *call, const struct hook_value *wanted,
				   __u32 index)
{
	struct call_value *value = begin_value(call, index);
	__u64 number = call->numbers[index & (HOOK_VALUES - 1)];
	__u32 kind = wanted->kind;
	long size;

	if (kind == VALUE_NUMBER || kind == VALUE_POINTED) {
		append_number(call, value, index);
	} else if (kind == VALUE_BYTES) {
		append_bytes(call, wanted, value, index);
	} else if (kind == VALUE_SOCKADDR_UN) {
		append_unix_address(call, wanted, value, index);
	} else if (kind >= VALUE_SOCK) {
		append_socket(call, wanted, value, index);
	} else {
		if (kind == VALUE_DATA_LOC)
			size = read_dynamic(value + 1, ctx, number);
		else
			size = read_text(value + 1, TEXT_LIMIT, (void *)number);
		end_text(call, value, index, size, TEXT_LIMIT);
	}
}

#endif
