/* SPDX-License-Identifier: GPL-2.0-only */
/* How often a call with the same values is reported. */
#ifndef TETRAPY_CALL_RATE_H
#define TETRAPY_CALL_RATE_H

#include "call.h"

/* Whether a call with the same values was reported less than the action's interval ago. */
static __always_inline int is_too_soon(struct call *call, const struct hook_action *action)
{
	struct rate_key *key = &call->rate;
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&rates, &zero);
	__u64 now = call->event.header.ktime;
	__u32 size = call->used < RATE_BYTES ? call->used : RATE_BYTES;
	__u64 *last;

	if (!map)
		return 0;
	key->hook = call->event.hook;
	key->selector = call->event.selector;
	key->scope = call->event.tid;
	key->start = call->event.start;
	if (action->flags & ACTION_SCOPE_PROCESS)
		key->scope = call->event.pid;
	if (action->flags & ACTION_SCOPE_GLOBAL)
		key->scope = key->start = 0;
	__builtin_memset(key->values, 0, sizeof(key->values));
	bpf_probe_read_kernel(key->values, size, call->data);
	last = bpf_map_lookup_elem(map, key);
	if (last && now - *last < action->interval)
		return 1;
	bpf_map_update_elem(map, key, &now, BPF_ANY);
	return 0;
}

#endif
