/* SPDX-License-Identifier: GPL-2.0-only */
/* Places for the calls that a CPU is at, of one type of programs. Part of call_steps.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CALL_PLACES);
	__type(key, __u32);
	__type(value, struct call);
} CALL_NAME(calls) SEC(".maps");

/* How many there are: user space sets both. One of kprobes, of which the kernel runs no program on
 * a CPU that is in another one (bpf_prog_active): whose it is need not be asked then.
 */
const volatile __u32 CALL_NAME(places);

static __always_inline int is_alone(void)
{
	return CALL_NAME(places) == 1;
}

static __always_inline struct call *call_at(__u32 place)
{
	return bpf_map_lookup_elem(&CALL_NAME(calls), &place);
}

static __always_inline __u32 call_owner(void)
{
	return (__u32)bpf_get_current_pid_tgid() + 1;
}

static __always_inline int is_owner(struct call *call, __u32 owner)
{
	return *(volatile __u32 *)&call->owner == owner;
}

static __always_inline struct call *take_place(struct call *call)
{
	*(volatile __u32 *)&call->owner = call_owner();
	*(volatile __u32 *)&call->may_lose_place = 0;
	return call;
}

/* A place for a call. Another one of the same type may be in its middle on this CPU: an interrupt
 * hits a raw tracepoint, or the task was preempted in a uprobe. Each takes the first place that is
 * free; where two took one, since preemption came between look and claim, the first one's is found
 * taken in the end, and counted as lost.
 *
 * From here until the call is released, or another program goes on, the task is not preempted where
 * that can be switched off (preempt.h). Where a dozen that were preempted between two programs
 * have all places one of them is taken away: its call begins again.
 */
static __always_inline struct call *claim_call(void)
{
	__u32 place;

	if (is_alone())
		return call_at(0);
	disable_preemption();
	for (place = 0; place < CALL_PLACES; place++) {
		struct call *call = call_at(place);

		if (!call)
			break;
		if (is_owner(call, 0))
			return take_place(call);
	}
	for (place = 0; gates && place < CALL_PLACES; place++) {
		struct call *call = call_at(place);

		if (call && *(volatile __u32 *)&call->may_lose_place)
			return take_place(call);
	}
	count_losses(EVENT_CALL, 1);
	enable_preemption();
	return 0;
}

/* The call that an earlier program claimed: the last one of this thread, since an interrupt is over
 * before what it interrupted goes on. One that has lost its place begins again.
 */
static __always_inline struct call *claimed_call(void *ctx)
{
	__u32 owner, place;

	if (is_alone())
		return call_at(0);
	owner = call_owner();
	disable_preemption();
	for (place = 0; place < CALL_PLACES; place++) {
		struct call *call = call_at(CALL_PLACES - 1 - place);

		if (call && is_owner(call, owner)) {
			*(volatile __u32 *)&call->may_lose_place = 0;
			return call;
		}
	}
	enable_preemption();
	if (gates)
		bpf_tail_call(ctx, &CALL_NAME(steps), STEP_BEGIN);
	count_losses(EVENT_CALL, 1);
	return 0;
}

static __always_inline void release_call(struct call *call)
{
	if (is_alone())
		return;
	if (!gates || is_owner(call, call_owner()))
		*(volatile __u32 *)&call->owner = 0;
	enable_preemption();
}

/* The next program goes on. The task may be preempted in between: then another one, which finds no
 * place for its call, takes this one's, and this one begins again when it is its turn, unless it
 * has done something already.
 */
static __always_inline void go_on(void *ctx, struct call *call, enum call_step step)
{
	if (is_alone()) {
		bpf_tail_call(ctx, &CALL_NAME(steps), step);
		return;
	}
	if (gates)
		*(volatile __u32 *)&call->may_lose_place = !call->has_done;
	enable_preemption();
	bpf_tail_call(ctx, &CALL_NAME(steps), step);
	disable_preemption();
	if (gates && is_owner(call, call_owner()))
		*(volatile __u32 *)&call->may_lose_place = 0;
}
