/* SPDX-License-Identifier: GPL-2.0-only */
/* Places for the calls that a CPU is at, of one type of programs. Part of call_steps.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CALL_PLACES);
	__type(key, __u32);
	__type(value, struct call);
} CALL_NAME(calls) SEC(".maps");

static __always_inline __u32 call_owner(void)
{
	return (__u32)bpf_get_current_pid_tgid() + 1;
}

/* A place for a call. Another one of the same type may be in its middle on this CPU: an interrupt
 * hits a raw tracepoint, or the task was preempted in a uprobe. Each takes the first place that is
 * free; where two took one, since preemption came between look and claim, the first one's is found
 * taken in the end, and counted as lost.
 *
 * From here until the call is released, or another program goes on, the task is not preempted where
 * that can be switched off (preempt.h): a dozen that share the CPU would keep all places.
 */
static __always_inline struct call *claim_call(void)
{
	__u32 place;

	disable_preemption();
	for (place = 0; place < CALL_PLACES; place++) {
		__u32 key = place;
		struct call *call = bpf_map_lookup_elem(&CALL_NAME(calls), &key);

		if (!call)
			break;
		if (!*(volatile __u32 *)&call->owner) {
			*(volatile __u32 *)&call->owner = call_owner();
			return call;
		}
	}
	count_losses(EVENT_CALL, 1);
	enable_preemption();
	return 0;
}

/* The call that an earlier program claimed: the last one of this thread, since an interrupt is over
 * before what it interrupted goes on.
 */
static __always_inline struct call *claimed_call(void)
{
	__u32 owner = call_owner();
	__u32 place;

	disable_preemption();
	for (place = 0; place < CALL_PLACES; place++) {
		__u32 key = CALL_PLACES - 1 - place;
		struct call *call = bpf_map_lookup_elem(&CALL_NAME(calls), &key);

		if (call && *(volatile __u32 *)&call->owner == owner)
			return call;
	}
	count_losses(EVENT_CALL, 1);
	enable_preemption();
	return 0;
}

static __always_inline void release_call(struct call *call)
{
	*(volatile __u32 *)&call->owner = 0;
	enable_preemption();
}
