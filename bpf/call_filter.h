/* SPDX-License-Identifier: GPL-2.0-only */
/* The filters of a hook: each fails some selectors, and the first selector that is left decides. */
#ifndef TETRAPY_CALL_FILTER_H
#define TETRAPY_CALL_FILTER_H

#include "call.h"

/* Of the innermost one in which a task has a pid. */
static __always_inline __u64 task_pid_namespace(struct pid *pid)
{
	unsigned int level = BPF_CORE_READ(pid, level) & 31;
	struct upid *upid = (void *)pid + bpf_core_field_offset(pid->numbers) +
			    level * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(upid, ns, ns.inum);
}

#define NAMESPACE(which, member)                        \
	if (wanted & (1 << NUMBER_##which##_NAMESPACE)) \
	call->numbers[NUMBER_##which##_NAMESPACE] =     \
		bpf_core_field_exists(proxy->member) ? BPF_CORE_READ(proxy, member, ns.inum) : 0

#define CAPABILITIES(which, member)                                          \
	if (wanted & (1 << NUMBER_##which))                                  \
	bpf_probe_read_kernel(&call->numbers[NUMBER_##which], sizeof(__u64), \
			      (void *)cred + bpf_core_field_offset(cred->member))

/* Reads the numbers of the process that filters look at. */
static __always_inline void read_context(struct call *call, __u32 wanted)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct nsproxy *proxy = BPF_CORE_READ(task, nsproxy);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u32 inner = task_inner_pid(BPF_CORE_READ(task, group_leader));

	call->numbers[NUMBER_PID] = call->event.pid;
	call->numbers[NUMBER_NAMESPACE_PID] = inner ? inner : call->event.pid;
	NAMESPACE(UTS, uts_ns);
	NAMESPACE(IPC, ipc_ns);
	NAMESPACE(MNT, mnt_ns);
	NAMESPACE(PID_FOR_CHILDREN, pid_ns_for_children);
	NAMESPACE(NET, net_ns);
	NAMESPACE(TIME, time_ns);
	NAMESPACE(TIME_FOR_CHILDREN, time_ns_for_children);
	NAMESPACE(CGROUP, cgroup_ns);
	if (wanted & (1 << NUMBER_PID_NAMESPACE))
		call->numbers[NUMBER_PID_NAMESPACE] =
			task_pid_namespace(BPF_CORE_READ(task, thread_pid));
	if (wanted & (1 << NUMBER_USER_NAMESPACE))
		call->numbers[NUMBER_USER_NAMESPACE] = BPF_CORE_READ(cred, user_ns, ns.inum);
	CAPABILITIES(PERMITTED, cap_permitted);
	CAPABILITIES(EFFECTIVE, cap_effective);
	CAPABILITIES(INHERITABLE, cap_inheritable);
}

/* Whether a member of the filter's set is the beginning of `call->key`. */
static __always_inline int is_in_set(struct call *call, __u32 slot)
{
	void *set = bpf_map_lookup_elem(&sets, &slot);

	return set && bpf_map_lookup_elem(set, &call->key);
}

static __always_inline int number_holds(struct call *call, const struct hook_filter *filter)
{
	__u64 number = call->numbers[filter->number & (CALL_NUMBERS - 1)] ^ filter->flip;

	if (filter->comparison == COMPARE_MASK)
		return (number & filter->low0) != 0;
	if (filter->comparison == COMPARE_SET) {
		*(__u64 *)call->key.data = bpf_cpu_to_be64(number);
		call->key.bits = 64;
		return is_in_set(call, filter->set);
	}
	if (filter->comparison == COMPARE_ADDRESS) {
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

/* Puts the text of a value, or as many bytes of its end as the filter says, in front of call->key,
 * ended by a zero byte. Returns 0 where the text is shorter.
 */
static __always_inline int text_key(struct call *call, const struct hook_filter *filter)
{
	__u32 value = filter->number & (HOOK_VALUES - 1);
	__u32 at = call->text_at[value];
	__u32 size = call->text_size[value];
	__u32 end = filter->end;

	if (end) {
		if (size < end)
			return 0;
		at += size - end;
		size = end;
	}
	call->key.bits = 8 * SET_DATA;
	bpf_probe_read_kernel(call->key.data, SET_DATA, &call->data[at & CALL_DATA_MASK]);
	if (size < SET_DATA)
		call->key.data[size & (SET_DATA - 1)] = 0;
	return 1;
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

/* Evaluates filters that need nothing but numbers. */
static __always_inline void match_numbers(struct call *call, struct hook *hook, __u32 first,
					  __u32 count, __u32 most)
{
	__u32 i;

	for (i = 0; i < most; i++) {
		struct hook_filter *filter = &hook->filters[(first + i) & (HOOK_FILTERS - 1)];

		if (i >= count)
			return;
		decide(call, filter, number_holds(call, filter));
	}
}

/* Evaluates the others. */
static __always_inline void match_texts(struct call *call, struct hook *hook)
{
	__u32 first = hook->head.plain_filters;
	__u32 count = hook->head.filters_count;
	__u32 i;

	for (i = 0; i < HOOK_TEXT_FILTERS; i++) {
		struct hook_filter *filter = &hook->filters[(first + i) & (HOOK_FILTERS - 1)];

		if (first + i >= count)
			return;
		/* Nobody evades a filter by a path that is too deep to be read whole: the call
		 * counts as one that the filter wants, and the record says so.
		 */
		if (!(call->unknown_paths >> (filter->number & (HOOK_VALUES - 1)) & 1))
			decide(call, filter,
			       text_key(call, filter) && is_in_set(call, filter->set));
	}
}

#endif
