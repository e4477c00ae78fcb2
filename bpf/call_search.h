/* SPDX-License-Identifier: GPL-2.0-only */
/* Filters that look into texts: what is somewhere in them, and what they are as a whole, however
 * long. All progress is in the map of the call: what is read from there is unknown to the verifier,
 * so that it sees the same state at every turn.
 */
#ifndef TETRAPY_CALL_SEARCH_H
#define TETRAPY_CALL_SEARCH_H

#include "call_filter.h"

/* Turns of one program: a place of a text where something may begin, or a piece of one that is
 * compared as a whole.
 */
#define SEARCH_TURNS 160
#define SKIPPED_MOST 24 /* bytes that a turn passes over, on which nothing begins */

#define INSIDE_MOST 104 /* bytes of what is looked for inside, in words; a policy's are 99 */

/* A text is compared as a whole piece by piece. Members of the set are pieces: behind the text's
 * size and what the pieces before said of themselves (0: there are none), which leads to the next.
 */
#define PIECE_MOST (SET_DATA - 8)

/* Upper-case letters among eight bytes, as the bit that makes lower-case ones of them. */
static __always_inline __u64 upper_case(__u64 letters)
{
	__u64 each = 0x0101010101010101ULL;
	__u64 low = letters & (0x7f * each);
	__u64 from_a = low + (0x80 - 'A') * each;
	__u64 above_z = low + (0x7f - 'Z') * each;

	return (from_a & ~above_z & ~letters & (0x80 * each)) >> 2;
}

/* Passes over bytes on which no member of the set begins; returns where it stops. */
static __always_inline __u64 skip_bytes(struct call *call, const struct hook_filter *filter,
					const __u8 *text, __u64 done)
{
	const __u64 *firsts = &filter->low0;
	__u64 skips = 1;
	__u32 i;

	/* Without branches: the verifier would go on from each. */
	for (i = 0; i < SKIPPED_MOST; i++) {
		__u32 first = text[i];

		/* Ranges are pairs: their low ends are every second word. */
		skips &= ~(firsts[2 * (first >> 6)] >> (first & 63));
		asm volatile("" : "+r"(skips));
		done += skips;
	}
	call->search_at = done;
	return *(volatile __u32 *)&call->search_at;
}

/* Whether a member of the set begins here. */
static __always_inline int begins_here(struct call *call, const struct hook_filter *filter,
				       const __u8 *text, __u64 left)
{
	__u64 *words = (__u64 *)call->key.data;
	__u32 i;

	bpf_probe_read_kernel(words, INSIDE_MOST, text);
	for (i = 0; i < INSIDE_MOST / 8; i++)
		words[i] |= upper_case(words[i]) & filter->high0;
	call->key.bits = 8 * (left < INSIDE_MOST ? left : INSIDE_MOST);
	return is_in_set(call, filter->set);
}

/* Whether the next piece is one of a member: its number, 0 if it is not. */
static __always_inline __u64 next_piece(struct call *call, const struct hook_filter *filter,
					const __u8 *text, __u32 left, __u32 size)
{
	__u32 *head = (__u32 *)call->key.data;
	__u64 *found;

	__builtin_memset(call->key.data, 0, SET_DATA);
	head[0] = size;
	head[1] = call->search_state;
	call->key.bits = 8 * SET_DATA;
	if (left >= PIECE_MOST)
		bpf_probe_read_kernel(head + 2, PIECE_MOST, text);
	else
		bpf_probe_read_kernel(head + 2, left & 0xff, text);
	found = find_in_set(call, filter->set);
	return found ? *found : 0;
}

/* What a turn came to. */
enum search_result {
	SEARCH_GOES_ON = 0,
	SEARCH_FAILS = 1,
	SEARCH_HOLDS = 2,
};

static __always_inline enum search_result
look_inside(struct call *call, const struct hook_filter *filter, __u64 at, __u64 done, __u64 size)
{
	done = skip_bytes(call, filter, &call->data[at], done);
	if (done >= size)
		return SEARCH_FAILS;
	call->search_at = done + 1;
	at = *(volatile __u32 *)&call->text_at[filter->number & (HOOK_VALUES - 1)] + done;
	asm volatile("" : "+r"(at));
	if (at > CALL_DATA_SIZE - SET_DATA)
		return SEARCH_FAILS;
	return begins_here(call, filter, &call->data[at], size - done) ? SEARCH_HOLDS
								       : SEARCH_GOES_ON;
}

static __always_inline enum search_result
compare_piece(struct call *call, const struct hook_filter *filter, __u64 at, __u64 done, __u64 size)
{
	__u64 found = next_piece(call, filter, &call->data[at], size - done, size);

	call->search_state = found;
	call->search_at = done + PIECE_MOST;
	if (!found)
		return SEARCH_FAILS;
	return done + PIECE_MOST >= size ? SEARCH_HOLDS : SEARCH_GOES_ON;
}

/* One turn; returns 0 when all filters are through. */
static __always_inline int search_turn(struct call *call, const struct hook *hook)
{
	__u32 number = *(volatile __u32 *)&call->search;
	const struct hook_filter *filter = &hook->filters[number & (HOOK_FILTERS - 1)];
	__u32 value = filter->number & (HOOK_VALUES - 1);
	__u64 done = *(volatile __u32 *)&call->search_at;
	__u64 size = *(volatile __u32 *)&call->text_size[value];
	__u64 at = *(volatile __u32 *)&call->text_at[value] + done;
	enum search_result result;

	if (number >= call->search_end)
		return 0;
	asm volatile("" : "+r"(at)); /* what is compared is what is used, in one register */
	if (at > CALL_DATA_SIZE - SET_DATA)
		result = SEARCH_FAILS;
	else if (filter->comparison == COMPARE_INSIDE)
		result = look_inside(call, filter, at, done, size);
	else
		result = compare_piece(call, filter, at, done, size);
	if (result == SEARCH_GOES_ON)
		return 1;
	if (!is_undecided(call, filter))
		decide(call, filter, result == SEARCH_HOLDS);
	call->search = number + 1;
	call->search_at = 0;
	call->search_state = 0;
	return 1;
}

/* Returns 0 when turns were too few for all filters. */
static __always_inline int search_texts(struct call *call, const struct hook *hook)
{
	__u32 i;

	for (i = 0; i < SEARCH_TURNS; i++)
		if (!search_turn(call, hook))
			return 1;
	return 0;
}

#endif
