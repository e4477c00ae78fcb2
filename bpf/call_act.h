/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done to the process that calls, once all filters have decided and before anything is
 * reported: also where the call is not reported in the end. Part of call_optional.h.
 */

/* Among the selectors of a call that is kept until it returns: its record was not sent, so that
 * only actions wait for the return.
 */
#define UNREPORTED (1U << 31)

static __always_inline void send_signals(struct hook_counts *counts, __u32 selector, __u32 signals,
					 int monitors)
{
	__u32 i;

	for (i = 0; i < HOOK_SIGNALS; i++) {
		__u32 signal = signals >> 8 * i & 0xff;
		enum selector_count which;

		if (!signal)
			return;
		if (monitors)
			which = COUNT_MONITOR_SIGNAL;
		else
			which = bpf_send_signal(signal) ? COUNT_FAILED : COUNT_SIGNAL;
		count_for(counts, selector, which);
	}
}

/* Has an enforcer await the thread, or no longer. */
static __always_inline void notify(struct hook *hook, struct hook_counts *counts, __u32 selector,
				   const struct hook_action *action, int monitors)
{
	struct enforcement_key key = { bpf_get_current_pid_tgid(), hook->head.policy };
	struct enforcement what = { action->notify_error, action->notify_signal };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&enforcements, &zero);

	if (!map)
		return;
	if (action->flags & ACTION_CLEANUP)
		bpf_map_delete_elem(map, &key);
	if (!(action->flags & ACTION_NOTIFY))
		return;
	if (!monitors)
		bpf_map_update_elem(map, &key, &what, BPF_ANY);
	count_for(counts, selector,
		  monitors ? COUNT_MONITOR_NOTIFY_ENFORCER : COUNT_NOTIFY_ENFORCER);
}

/* Has the program that the kernel runs next at this function override it. That one alone may: the
 * kernel looks at each program that calls bpf_override_return(), where it is attached, and not at
 * those that it goes on with.
 */
static __always_inline int leave_override(struct hook *hook, __s32 error)
{
	struct enforcement_key key = { bpf_get_current_pid_tgid(),
				       hook->head.policy | ENFORCES_OVERRIDE };
	struct enforcement what = { error, 0 };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&enforcements, &zero);

	return !map || bpf_map_update_elem(map, &key, &what, BPF_ANY);
}

/* The function does not run, if nothing is in the way. */
static __always_inline void override(struct call *call, struct hook *hook,
				     struct hook_counts *counts, __u32 selector,
				     const struct hook_action *action, int monitors)
{
	enum selector_count which = COUNT_OVERRIDE;

	if (monitors)
		which = COUNT_MONITOR_OVERRIDE;
	else if (!(action->flags & ACTION_OVERRIDE_LATER))
		call->verdict = action->error;
	else if (leave_override(hook, action->error))
		which = COUNT_FAILED;
	count_for(counts, selector, which);
}

/* Notes, or forgets, whose a socket is. */
static __always_inline void track(struct call *call, struct hook *hook, __u64 socket, int forget)
{
	struct tracked_key key = { socket, hook->head.policy, 0 };
	struct tracked owner = { call->event.start, call->event.pid, call->event.tid };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&tracked, &zero);

	if (!map || !socket)
		return;
	if (forget)
		bpf_map_delete_elem(map, &key);
	else
		bpf_map_update_elem(map, &key, &owner, BPF_ANY);
}

/* Has a call reported with whose its sockets are. */
static __always_inline void find_owner(struct call *call, struct hook *hook)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&tracked, &zero);
	__u32 slot;

	if (!map)
		return;
	for (slot = 0; slot < HOOK_SOCKETS; slot++) {
		struct tracked_key key = { call->sockets[slot].cookie, hook->head.policy, 0 };
		struct tracked *owner;

		if (slot >= hook->head.sockets)
			return;
		owner = bpf_map_lookup_elem(map, &key);
		if (owner) {
			call->event.start = owner->start;
			call->event.pid = owner->pid;
			call->event.tid = owner->tid;
		}
	}
}

/* Whether nobody is acted on, and only counted what would have been done. */
static __always_inline int only_monitors(struct call *call, struct hook *hook)
{
	return call->unknown_workload || bpf_map_lookup_elem(&monitors, &hook->head.policy) != 0;
}

static __always_inline void act(struct call *call, struct hook *hook, __u32 unreported)
{
	__u32 selector = first_selector(call->selectors);
	const struct hook_action *action = &hook->actions[selector & 7];
	struct hook_counts *counts = find_counts(call->slot);
	int monitors_only = only_monitors(call, hook);

	if (call->at_return) {
		send_signals(counts, selector, action->return_signals, monitors_only);
		if (unreported || action->flags & ACTION_RETURN_QUIET) {
			count_match(call, hook, selector);
			/* As if no selector matched: user space waits for the second half. */
			call->selectors = 0;
		}
		return;
	}
	send_signals(counts, selector, action->signals, monitors_only);
	if (action->flags & (ACTION_TRACK | ACTION_UNTRACK))
		track(call, hook, call->sockets[action->socket & (HOOK_SOCKETS - 1)].cookie,
		      action->flags & ACTION_UNTRACK);
	if (action->flags & (ACTION_NOTIFY | ACTION_CLEANUP))
		notify(hook, counts, selector, action, monitors_only);
	if (action->flags & ACTION_OVERRIDE)
		override(call, hook, counts, selector, action, monitors_only);
}

SEC(CALL_SECTION)
int CALL_NAME(act)(void *ctx)
{
	struct call *call = claimed_call(ctx);
	struct hook *hook;
	__u32 unreported;

	if (!call)
		return 0;
	call->has_done = 1;
	hook = find_hook(call->slot);
	unreported = call->selectors & UNREPORTED;
	call->selectors &= ~UNREPORTED;
	if (hook) {
		if (!call->at_return && hook->head.acts & ACTS_AT_RETURN) {
			call->selectors |= UNREPORTED;
			keep_until_return(call);
			call->selectors &= ~UNREPORTED;
		}
		if (hook->head.acts & ACTS_FOR_OWNER)
			find_owner(call, hook);
		if (call->at_return &&
		    hook->head.acts & (ACTS_TRACK_RETURNED | ACTS_UNTRACK_RETURNED))
			track(call, hook, call->returned, hook->head.acts & ACTS_UNTRACK_RETURNED);
		if (call->selectors)
			act(call, hook, unreported);
		if (hook->head.acts & ACTS_SET)
			go_on(ctx, call, STEP_SET);
		if (!unreported)
			go_on(ctx, call, STEP_VALUES);
	}
	return end_call(call);
}
