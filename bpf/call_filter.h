/* SPDX-License-Identifier: GPL-2.0-only */
/* The filters of a hook: each fails some selectors, and the first selector that is left decides. */
#ifndef TETRAPY_CALL_FILTER_H
#define TETRAPY_CALL_FILTER_H

#include "call.h"
#include "call_context.h"

/* What is said of the longest member of a set that is the beginning of `call->key`; 0: none is. */
static __always_inline __u64 *find_in_set(struct call *call, __u32 slot)
{
	void *set = bpf_map_lookup_elem(&sets, &slot);

	return set ? bpf_map_lookup_elem(set, &call->key) : 0;
}

/* Whether a member of the filter's set is the beginning of `call->key`. */
static __always_inline int is_in_set(struct call *call, __u32 slot)
{
	return find_in_set(call, slot) != 0;
}

static __always_inline int number_holds(struct call *call, const struct hook_filter *filter)
{
	__u64 number = call->numbers[filter->number & (CALL_NUMBERS - 1)] ^ filter->flip;

	if (filter->comparison == COMPARE_MASK)
		return (number & filter->low0) != 0;
	if (!simple_hooks && filter->comparison == COMPARE_SET) {
		*(__u64 *)call->key.data = bpf_cpu_to_be64(number);
		call->key.bits = 64;
		return is_in_set(call, filter->set);
	}
	if (!simple_hooks && filter->comparison == COMPARE_ADDRESS) {
		const struct address_key *address =
			&call->addresses[filter->number & (2 * HOOK_SOCKETS - 1)];

		if (!address->version)
			return 0;
		*(struct address_key *)call->key.data = *address;
		call->key.bits = 8 * (1 + (address->version == 4 ? 4 : 16));
		return is_in_set(call, filter->set);
	}
	/* Without branches: the verifier would look at both sides of each. Ranges that are not used
	 * are empty: their low end is above the high one.
	 */
	return (filter->low0 <= number && number <= filter->high0) ||
	       (filter->low1 <= number && number <= filter->high1) ||
	       (filter->low2 <= number && number <= filter->high2) ||
	       (filter->low3 <= number && number <= filter->high3);
}

/* Whether some member of the filter's set has this byte where all of them differ most from other
 * texts.
 */
static __always_inline int is_telling(const struct hook_filter *filter, __u32 byte)
{
	const __u64 *bytes = &filter->low0;

	/* Ranges are pairs: their low ends are every second word. */
	return bytes[2 * (byte >> 6)] >> (byte & 63) & 1;
}

/* Whether the text of a value, or as many bytes of its end as the filter says, begins with a member
 * of the filter's set. Behind a text is a zero byte, with which members may end.
 */
static __always_inline int text_holds(struct call *call, const struct hook_filter *filter)
{
	__u32 value = filter->number & (HOOK_VALUES - 1);
	__u32 at = call->text_at[value];
	__u32 size = call->text_size[value];
	__u32 end = filter->end;
	__u32 telling = filter->telling;
	__u32 most = filter->last + 1;

	if (end) {
		if (size < end)
			return 0;
		at += size - end;
		size = end;
	}
	if (at > CALL_DATA_SIZE - SET_DATA)
		return 0;
	/* Most texts fail here. */
	if (size < telling || !is_telling(filter, size > telling ? call->data[at + telling] : 0))
		return 0;
	call->key.bits = 8 * most;
	bpf_probe_read_kernel(call->key.data, most, &call->data[at]);
	if (size < most) {
		barrier_var(size); /* else the compiler drops the mask, which old verifiers need */
		call->key.data[size & (SET_DATA - 1)] = 0;
	}
	return is_in_set(call, filter->set);
}

static __always_inline void decide(struct call *call, const struct hook_filter *filter, __u32 holds)
{
	holds |= call->held;
	call->held = 0;
	if (filter->joined)
		call->held = holds;
	else if (holds == filter->negated)
		*(volatile __u32 *)&call->selectors = call->selectors & ~filter->selectors;
}

/* Nobody evades a filter by a path that is too deep to be read whole: the call counts as one that
 * the filter wants, and the record says so. Nor does who has another file at the path of one that
 * the filter leaves out.
 */
static __always_inline int is_undecided(const struct call *call, const struct hook_filter *filter)
{
	__u32 paths = call->unknown_paths | (filter->negated ? call->foreign_paths : 0);

	return paths >> (filter->number & (HOOK_VALUES - 1)) & 1;
}

/* Evaluates filters that need nothing but numbers. */
static __always_inline void match_numbers(struct call *call, struct hook *hook, __u32 first,
					  __u32 count, __u32 most)
{
	__u32 i;

	if (simple_hooks && most > SIMPLE_FILTERS)
		most = SIMPLE_FILTERS;
	for (i = 0; i < most; i++) {
		struct hook_filter *filter = &hook->filters[(first + i) & (HOOK_FILTERS - 1)];

		if (i >= count)
			return;
		decide(call, filter, number_holds(call, filter));
	}
}

/* Evaluates the others, as many as one program does; returns 0 where there are more. */
static __always_inline int match_texts(struct call *call, struct hook *hook)
{
	__u32 first = call->texts;
	__u32 end = call->texts_end;
	__u32 i;

	for (i = 0; i < TEXTS_AT_ONCE; i++) {
		struct hook_filter *filter = &hook->filters[(first + i) & (HOOK_FILTERS - 1)];

		if (first + i >= end)
			return 1;
		if (!(filter->selectors & *(volatile __u32 *)&call->selectors))
			continue; /* they have failed already */
		if (!is_undecided(call, filter))
			decide(call, filter, text_holds(call, filter));
	}
	call->texts = first + TEXTS_AT_ONCE;
	return first + TEXTS_AT_ONCE >= end;
}

static __always_inline __u32 first_selector(__u32 selectors)
{
	__u32 i;

	for (i = 0; i < HOOK_SELECTORS; i++)
		if (selectors >> i & 1)
			return i;
	return 0;
}

/* Counts for the selector that decided, once the last filter was asked. Not where user space is
 * asked for whom the call is, which may decide otherwise.
 */
static __always_inline void count_match(struct call *call, const struct hook *hook, __u32 selector)
{
	__u32 flags = hook->actions[selector & 7].flags;
	struct hook_counts *counts;

	if (!call->selectors || call->at_return != hook->head.matches_at_return ||
	    call->unknown_workload)
		return;
	counts = find_counts(call->slot);
	count_for(counts, selector, COUNT_MATCHED);
	if (!(flags & ACTION_POST) || (call->at_return && flags & ACTION_RETURN_QUIET))
		count_for(counts, selector, COUNT_NOPOST);
}

/* Counts an event, once: where a second record follows, when that is sent. Not those about which
 * user space decides.
 */
static __always_inline void count_event(struct call *call, const struct hook *hook)
{
	__u32 flags = call->event.flags;
	int is_last = call->at_return || !hook->head.reports_return || flags & CALL_RETURN_LOST;

	if (is_last && !(flags & (CALL_UNWANTED | CALL_UNKNOWN_WORKLOAD)))
		count_for(find_counts(call->slot), call->event.selector, COUNT_POST);
}

#endif
