/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose the sockets of a call are: noted, or forgotten, and the call reported as theirs. Part of
 * call_optional.h.
 */
#include "tracked.h"

/* Has a call reported with whose its sockets are. */
static __always_inline void find_owner(struct call *call, struct hook *hook)
{
	struct tracked owner = {};
	__u32 slot;

	for (slot = 0; slot < HOOK_SOCKETS; slot++) {
		if (slot >= hook->head.sockets)
			return;
		if (find_tracked(call->sockets[slot].cookie, hook->head.policy, &owner,
				 call->results)) {
			call->event.start = owner.start;
			call->event.pid = owner.pid;
			call->event.tid = owner.tid;
		}
	}
}

/* The socket that a call makes the thread's, or that is to be forgotten; 0: none. */
static __always_inline __u64 socket_to(struct call *call, struct hook *hook, __u32 at_return,
				       __u32 at_call)
{
	__u32 selectors = call->selectors & ~UNREPORTED;
	const struct hook_action *action = &hook->actions[first_selector(selectors) & 7];

	if (call->at_return)
		return hook->head.acts & at_return ? call->returned : 0;
	if (!selectors || !(action->flags & at_call))
		return 0;
	return call->sockets[action->socket & (HOOK_SOCKETS - 1)].cookie;
}

static __always_inline void track_sockets(void *ctx, struct call *call, struct hook *hook)
{
	struct tracked one = { .start = call->event.start,
			       .pid = call->event.pid,
			       .tid = call->event.tid,
			       .policy = hook->head.policy };
	__u64 gone;

	call->has_done = 1;
	one.socket = socket_to(call, hook, ACTS_TRACK_RETURNED, ACTION_TRACK);
	if (one.socket)
		note_tracked(&one, call->results);
	if (hook->head.acts & ACTS_FOR_OWNER)
		find_owner(call, hook);
	gone = socket_to(call, hook, ACTS_UNTRACK_RETURNED, ACTION_UNTRACK);
	if (gone)
		forget_tracked(gone, hook->head.policy, call->results);
	go_on(ctx, call, STEP_ACT);
}

CALL_STEP(track, track_sockets)
