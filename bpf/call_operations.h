/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that a hook makes of others, for its filters: types of files, and what operations make.
 */
#ifndef TETRAPY_CALL_OPERATIONS_H
#define TETRAPY_CALL_OPERATIONS_H

#include "call.h"

#define S_IFMT 0170000 /* include/uapi/linux/stat.h */

static __always_inline void read_file_types(struct call *call, const struct hook *hook)
{
	__u32 i;

	for (i = 0; i < HOOK_FILE_TYPES; i++) {
		__u32 index = hook->head.file_values[i] & (HOOK_VALUES - 1);
		__u64 path = call->numbers[index];

		if (i >= hook->head.file_types)
			return;
		if (path && hook->values[index].kind == VALUE_FILE)
			path += bpf_core_field_offset(struct file, f_path);
		call->numbers[NUMBER_FILE_TYPES + i] =
			BPF_CORE_READ((struct path *)path, dentry, d_inode, i_mode) & S_IFMT;
	}
}

/* 1 or 0, without a branch. */
static __always_inline __u64 is_zero(__u64 number)
{
	number = ~number & (number - 1);
	asm volatile("" : "+r"(number)); /* the compiler would see the comparison, and branch */
	return number >> 63;
}

static __always_inline __u64 is_below(__u64 left, __u64 right)
{
	__u64 borrow = (~left & right) | (~(left ^ right) & (left - right));

	asm volatile("" : "+r"(borrow));
	return borrow >> 63;
}

/* All results, of which one is taken: where there are branches the verifier looks at both sides of
 * each, for each operation that there may be.
 */
static __always_inline __u64 operate(struct call *call, __u32 operation, __u64 left, __u64 right)
{
	volatile __u64 *results = call->results;

	results[OPERATION_COPY] = right;
	results[OPERATION_ADD] = left + right;
	results[OPERATION_SUBTRACT] = left - right;
	results[OPERATION_AND] = left & right;
	results[OPERATION_OR] = left | right;
	results[OPERATION_XOR] = left ^ right;
	results[OPERATION_AND_NOT] = left & ~right;
	results[OPERATION_EQUAL] = is_zero(left ^ right);
	results[OPERATION_LESS] = is_below(left ^ 1ULL << 63, right ^ 1ULL << 63);
	results[OPERATION_BELOW] = is_below(left, right);
	results[OPERATION_INT32] = (__u64)((__s64)(right << 32) >> 32);
	return results[operation & (OPERATIONS - 1)];
}

static __always_inline void do_operations(struct call *call, const struct hook *hook)
{
	__u32 i;

	for (i = 0; i < HOOK_OPERATIONS; i++) {
		const struct hook_operation *one = &hook->operations[i];
		__u64 left = call->numbers[one->left & (CALL_NUMBERS - 1)];
		__u64 right = call->numbers[one->right & (CALL_NUMBERS - 1)];

		if (i >= hook->head.operations)
			return;
		right = (right & ~one->constant_mask) | one->constant;
		call->numbers[one->to & (CALL_NUMBERS - 1)] =
			operate(call, one->operation, left, right);
	}
}

static __always_inline void make_numbers(struct call *call, const struct hook *hook)
{
	if (simple_hooks)
		return;
	if (hook->head.file_types && bpf_core_field_exists(struct file, f_path))
		read_file_types(call, hook);
	if (hook->head.operations)
		do_operations(call, hook);
}

#endif
