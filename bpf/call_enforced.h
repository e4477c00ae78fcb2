/* SPDX-License-Identifier: GPL-2.0-only */
/* What a hook left for a thread, at the function where it is done. */
#ifndef TETRAPY_CALL_ENFORCED_H
#define TETRAPY_CALL_ENFORCED_H

#include "hook.h"

/* Takes it, and sends its signal. `policy` as in enforcement_key. Returns 0 where nothing was. */
static __always_inline int take_enforcement(__u32 policy, __s32 *error)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct enforcement_key key = { tid, policy };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&enforcements, &zero);
	struct enforcement *found = map ? bpf_map_lookup_elem(map, &key) : 0;

	if (!found)
		return 0;
	*error = found->error;
	if (found->signal)
		bpf_send_signal(found->signal);
	bpf_map_delete_elem(map, &key);
	return 1;
}

#endif
