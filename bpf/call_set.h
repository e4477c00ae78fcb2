/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes into the memory of a process: an argument of a static probe that is there. Part of
 * call_kprobe.bpf.c.
 *
 * A program of its own, and loaded for policies that ask for it alone: whatever calls the helper
 * makes the kernel log a warning, and is refused where the kernel is locked down.
 */
#ifndef TETRAPY_CALL_SET_H
#define TETRAPY_CALL_SET_H

#include "call.h"

static __always_inline void set_argument(void *ctx, struct call *call, struct hook *hook)
{
	__u32 selector = first_selector(call->selectors);
	const struct hook_action *action = &hook->actions[selector & 7];
	enum selector_count which = COUNT_SET;
	__u32 value = action->set_value;

	if (action->flags & ACTION_SET) {
		void *to = operand_address(ctx, hook, action->set_argument & (HOOK_VALUES - 1));

		if (only_monitors(call, hook))
			which = COUNT_MONITOR_SET;
		else if (bpf_probe_write_user(to, &value, sizeof(value)))
			which = COUNT_FAILED;
		count_for(find_counts(call->slot), selector, which);
	}
	go_on(ctx, call, STEP_VALUES);
}

CALL_STEP(set, set_argument)

#endif
