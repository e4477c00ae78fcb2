/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the values of a call come from. Part of call_steps.h. */
static __always_inline __u64 sign_extend(__u64 number, __u32 size)
{
	__u32 unused = 64 - 8 * size;

	return (__u64)((__s64)(number << unused) >> unused);
}

static __always_inline long read_memory(void *to, __u32 size, const void *from)
{
	return is_user(from) ? bpf_probe_read_user(to, size, from)
			     : bpf_probe_read_kernel(to, size, from);
}

/* Goes the way of a path. Returns 0 where it breaks off. */
static __always_inline __u64 resolve(const struct hook *hook, __u32 index, __u64 pointer)
{
	const struct hook_path *path = &hook->paths[index];
	__u32 i;

	for (i = 0; i < HOOK_STEPS; i++) {
		__u64 next = 0;

		if (i >= path->count)
			break;
		if (read_memory(&next, sizeof(next),
				(void *)pointer + hook->steps[index * HOOK_STEPS + i]) ||
		    !next)
			return 0;
		pointer = next;
	}
	return pointer + path->last;
}

#if CALL_READS_CONTEXT
static __always_inline __u64 read_word(void *ctx, __u32 place)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), ctx + place);
	return word;
}

/* Where an argument of a static probe is, in the memory of the process. */
static __always_inline void *operand_address(void *ctx, const struct hook *hook, __u32 index)
{
	const __u32 *words = &hook->steps[index * HOOK_STEPS];
	__u64 address = read_word(ctx, hook->values[index].place);

	address += words[0] | (__u64)words[1] << 32;
	if (words[2])
		address += read_word(ctx, words[2] - 1) * words[3];
	return (void *)address;
}

static __always_inline __u64 read_operand(void *ctx, struct call *call, const struct hook *hook,
					  __u32 index)
{
	__u32 size = hook->paths[index].last;
	__u64 number = 0;

	if (bpf_probe_read_user(&number, size > 8 ? 8 : size, operand_address(ctx, hook, index)))
		call->unreadable |= 1 << index;
	return number;
}
#endif

static __always_inline __u64 read_source(__attribute__((unused)) void *ctx, struct call *call,
					 const struct hook *hook, __u32 index)
{
	const struct hook_value *value = &hook->values[index];

	if (value->source == SOURCE_RETURN)
		return call->returned;
	if (value->source == SOURCE_ARGUMENT)
		return call->arguments[value->place & (CALL_ARGUMENTS - 1)];
	if (value->source == SOURCE_TASK)
		return bpf_get_current_task();
#if CALL_READS_CONTEXT
	if (value->source < SOURCE_CONSTANT)
		return read_word(ctx, value->place);
	if (!simple_hooks && value->source == SOURCE_MEMORY)
		return read_operand(ctx, call, hook, index);
	return hook->steps[index * HOOK_STEPS] | (__u64)hook->steps[index * HOOK_STEPS + 1] << 32;
#else
	return 0;
#endif
}

/* The number that a value is, or the pointer by which it is read. */
static __always_inline __u64 read_number(void *ctx, struct call *call, const struct hook *hook,
					 __u32 index)
{
	const struct hook_value *value = &hook->values[index];
	__u64 number = read_source(ctx, call, hook, index);
	__u32 size = value->size;

	if (!simple_hooks && value->flags & VALUE_RESOLVED)
		number = resolve(hook, index, number);
	if (value->flags & VALUE_OF_USER && !is_user((void *)number))
		number = 0;
	if (!simple_hooks && value->kind == VALUE_POINTED) {
		/* A variable of its own: what has an address is kept on the stack. */
		__u64 pointed = 0;

		if (read_memory(&pointed, size > 8 ? 8 : size, (void *)number))
			call->unreadable |= 1 << index;
		number = pointed;
	}
	if (!size || size >= 8)
		return number;
	if (value->flags & VALUE_SIGNED)
		return sign_extend(number, size);
	return number & ((1ULL << (8 * size)) - 1);
}
