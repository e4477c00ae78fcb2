/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done to the process that calls, once all filters have decided and before anything is
 * reported: also where the call is not reported in the end. Part of call_optional.h.
 */
#include "enforcement.h"

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

/* Has an enforcer await the thread, or no longer. Where there is no room for one more thread of its
 * owner it gets the signal at once.
 */
static __always_inline void notify(struct hook *hook, struct hook_counts *counts, __u32 selector,
				   const struct hook_action *action, int monitors)
{
	enum selector_count which = COUNT_NOTIFY_ENFORCER;

	if (action->flags & ACTION_CLEANUP)
		drop_enforcement(hook->head.policy);
	if (!(action->flags & ACTION_NOTIFY))
		return;
	if (monitors) {
		which = COUNT_MONITOR_NOTIFY_ENFORCER;
	} else if (leave_enforcement(hook->head.policy, action->notify_error,
				     action->notify_signal)) {
		which = COUNT_FAILED;
		if (action->notify_signal && !bpf_send_signal(action->notify_signal))
			which = COUNT_SIGNAL;
	}
	count_for(counts, selector, which);
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
	/* By the program that the kernel runs next at this function. That one alone may: the kernel
	 * looks at each program that calls bpf_override_return(), where it is attached, and not at
	 * those that it goes on with.
	 */
	else if (leave_enforcement(hook->head.policy | ENFORCES_OVERRIDE, action->error, 0))
		which = COUNT_FAILED;
	count_for(counts, selector, which);
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
		if (call->selectors)
			act(call, hook, unreported);
		if (hook->head.acts & ACTS_SET)
			go_on(ctx, call, STEP_SET);
		if (!unreported)
			go_on(ctx, call, STEP_VALUES);
	}
	return end_call(call);
}
