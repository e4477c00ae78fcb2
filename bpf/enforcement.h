/* SPDX-License-Identifier: GPL-2.0-only */
/* What awaits a thread at a function behind the one where a hook decided on it. */
#ifndef TETRAPY_ENFORCEMENT_H
#define TETRAPY_ENFORCEMENT_H

#include "hook.h"
#include "share_counts.h"
#include "task.h"

/* Beside the number of a policy: what awaits the thread is an Override of the call that it is at,
 * and of no use to enforcers.
 */
#define ENFORCES_OVERRIDE (1U << 31)

/* What awaits a thread at the functions of a policy's enforcers. */
struct enforcement_key {
	__u32 tid;
	__u32 policy;
};

struct enforcement {
	__u64 start; /* of the thread: its number is given again */
	__s32 error; /* that the function returns instead of running; 0: it runs */
	__u32 signal; /* 0: none */
	__u32 share; /* whose it counts as */
	__u32 __pad;
};

/* Some threads never come there: see enforcement.bpf.c. What that misses user space takes out. */
struct enforcement_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENFORCEMENTS);
	__uint(key_size, sizeof(struct enforcement_key));
	__uint(value_size, sizeof(struct enforcement));
};

LATE_MAP(enforcements, enforcement_map);
LATE_MAP(enforcement_counts, share_counts_map);

static __always_inline void *enforcement_map(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&enforcements, &zero);
}

static __always_inline __u64 thread_start(void)
{
	return task_start((struct task_struct *)bpf_get_current_task());
}

static __always_inline void forget_enforcement(void *map, struct enforcement_key *key)
{
	struct enforcement *found = bpf_map_lookup_elem(map, key);
	__u32 share = found ? found->share : 0;
	__u32 zero = 0;
	void *counts = bpf_map_lookup_elem(&enforcement_counts, &zero);

	if (found && !bpf_map_delete_elem(map, key) && counts)
		count_in_share(counts, share, -1);
}

/* What awaits the current thread. What awaited one that had its number before is forgotten. */
static __always_inline struct enforcement *find_enforcement(void *map, struct enforcement_key *key)
{
	struct enforcement *found = bpf_map_lookup_elem(map, key);

	if (!found || found->start == thread_start())
		return found;
	forget_enforcement(map, key);
	return 0;
}

/* Has something await the current thread. Returns non-zero where there is no room for one more of
 * its owner.
 */
static __always_inline int leave_enforcement(__u32 policy, __s32 error, __u32 signal)
{
	struct enforcement_key key = { bpf_get_current_pid_tgid(), policy };
	struct enforcement left = { .error = error, .signal = signal };
	__u32 zero = 0;
	void *map = enforcement_map();
	void *counts = bpf_map_lookup_elem(&enforcement_counts, &zero);
	struct enforcement *known;

	if (!map || !counts)
		return 1;
	known = find_enforcement(map, &key);
	if (known) {
		known->error = error;
		known->signal = signal;
		return 0;
	}
	left.start = thread_start();
	left.share = number_of_owner();
	if (!share_has_room(counts, left.share, ENFORCEMENTS) ||
	    bpf_map_update_elem(map, &key, &left, BPF_NOEXIST))
		return 1;
	count_in_share(counts, left.share, 1);
	return 0;
}

/* Nothing awaits the current thread any more. */
static __always_inline void drop_enforcement(__u32 policy)
{
	struct enforcement_key key = { bpf_get_current_pid_tgid(), policy };
	void *map = enforcement_map();

	if (map)
		forget_enforcement(map, &key);
}

/* Takes it, and sends its signal. `policy` as in enforcement_key. Returns 0 where nothing was. */
static __always_inline int take_enforcement(__u32 policy, __s32 *error)
{
	struct enforcement_key key = { bpf_get_current_pid_tgid(), policy };
	void *map = enforcement_map();
	struct enforcement *found = map ? find_enforcement(map, &key) : 0;

	if (!found)
		return 0;
	*error = found->error;
	if (found->signal)
		bpf_send_signal(found->signal);
	forget_enforcement(map, &key);
	return 1;
}

#endif
