// SPDX-License-Identifier: GPL-2.0-only
/* Keeps lineage.h's images: of those who fork, execute, and are gone. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define CALL_NAME(x) lineage_##x
#include "call_filter.h"
#include "call_file.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} lineage_steps SEC(".maps");

#include "call_claim.h"

char LICENSE[] SEC("license") = "GPL";

/* Slots in `sets`, whose members' values are marks. They are empty or filled as policies ask. */
const volatile __u32 path_set; /* of the beginnings of paths; whole ones end with a zero byte */
const volatile __u32 end_set; /* of their ends, turned round */
const volatile __u32 hosts_path_set; /* the same of paths that the host has, too */
const volatile __u32 hosts_end_set;
const volatile __u32 pid_set;
const volatile __u32 inner_pid_set; /* of pids in a namespace that is not the initial one */

#define LONGEST_END 127 /* bytes of a path */
#define MORE_CALLS 30 /* of the program for deep paths; an event has 33 */

static __always_inline int is_asked(__u32 slot)
{
	return bpf_map_lookup_elem(&sets, &slot) != 0;
}

static __always_inline __u64 marks_in(struct call *call, __u32 slot)
{
	__u64 *marks = find_in_set(call, slot);

	return marks ? *marks : 0;
}

static __always_inline __u64 marks_of_number(struct call *call, __u32 slot, __u32 number)
{
	*(__u64 *)call->key.data = bpf_cpu_to_be64(number);
	call->key.bits = 64;
	return marks_in(call, slot);
}

static __always_inline __u64 marks_of_pids(struct call *call, struct task_struct *task, __u32 pid)
{
	__u32 inner = is_asked(inner_pid_set) ? task_inner_pid(task) : 0;
	__u64 marks = is_asked(pid_set) ? marks_of_number(call, pid_set, pid) : 0;

	return inner ? marks | marks_of_number(call, inner_pid_set, inner) : marks;
}

/* Of the path that was walked. */
static __always_inline __u64 marks_of_path(struct call *call, int is_hosts)
{
	struct path_walk *walk = &call->walk;
	__u64 offset = walk->offset & PATH_LIMIT;
	__u64 size = (PATH_LIMIT - offset) & PATH_LIMIT;
	__u64 marks = 0;
	__u32 i;

	if (walk->end == WALK_UNREADABLE || walk->end == WALK_TOO_LONG)
		return 1ULL << MARK_UNKNOWN;
	call->key.bits = 8 * SET_DATA;
	bpf_probe_read_kernel(call->key.data, SET_DATA, &walk->name[offset]);
	if (size < SET_DATA)
		call->key.data[size & (SET_DATA - 1)] = 0;
	marks = marks_in(call, path_set);
	if (is_hosts)
		marks |= marks_in(call, hosts_path_set);
	if (!is_asked(end_set) && !is_asked(hosts_end_set))
		return marks;
	for (i = 0; i < LONGEST_END; i++)
		call->key.data[i] = i < size ? walk->name[PATH_LIMIT - 1 - i] : 0;
	call->key.bits = 8 * LONGEST_END;
	marks |= marks_in(call, end_set);
	if (is_hosts)
		marks |= marks_in(call, hosts_end_set);
	return marks;
}

/* Whether what was walked is the host's at that path. The file is the one that was executed just
 * now, whatever the process makes of it later.
 */
static __always_inline int is_hosts_path(struct call *call, struct task_struct *task)
{
	return call->walk.end == WALK_AT_ROOT && is_root_of(task, hosts_root(task));
}

/* Counts an image that comes or goes. Returns 0 where one that comes has no room: an owner may have
 * as many as there is room for more, so that whoever has thousands of processes has only his own
 * not be known, and nobody else's taken for what filters want.
 */
static __always_inline int count_image(__u32 share, __s64 change)
{
	__u32 zero = 0, all = OWNER_SHARES, own = share - 1;
	void *counts = bpf_map_lookup_elem(&image_counts, &zero);
	__s64 *owners = counts && share ? bpf_map_lookup_elem(counts, &own) : 0;
	__s64 *total = owners ? bpf_map_lookup_elem(counts, &all) : 0;

	if (!total || (change > 0 && *owners + *total >= LINEAGE_PROCESSES))
		return 0;
	__sync_fetch_and_add(owners, change);
	__sync_fetch_and_add(total, change);
	return 1;
}

static __always_inline void forget_image(void *map, __u32 pid)
{
	struct image *image = bpf_map_lookup_elem(map, &pid);
	__u32 share = image ? image->head.share : 0;

	if (image && !bpf_map_delete_elem(map, &pid))
		count_image(share, -1);
}

/* Puts the image of a process that begins. */
static __always_inline void keep_image(void *map, __u32 pid, struct image *image)
{
	forget_image(map, pid); /* of one whose end was missed */
	image->head.share = number_of_owner() + 1;
	if (count_image(image->head.share, 1) && bpf_map_update_elem(map, &pid, image, BPF_ANY))
		count_image(image->head.share, -1);
}

/* The image of a process that is not noted yet is not known: user space will. */
static __always_inline void fork_image(struct task_struct *creator, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(creator, group_leader);
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct image *from = find_image(BPF_CORE_READ(leader, tgid), leader);
	struct image *above = from;
	struct image image = { .head.forked = 1 };
	void *map = image_map();
	struct call *call;

	if (parent != leader)
		above = find_image(BPF_CORE_READ(parent, tgid), parent);
	if (!map || !from || !above)
		return;
	call = claim_call();
	if (!call)
		return;
	image.head.start = task_start(task);
	image.head.marks = from->head.marks;
	image.head.followed = from->head.followed | marks_of_pids(call, task, pid);
	image.head.parent_marks = above->head.marks;
	image.head.parent_followed = above->head.followed;
	read_state(call, task, STATE_NUMBERS);
	note_state(&image, call->numbers);
	keep_image(map, pid, &image);
	release_call(call);
}

SEC("?raw_tp/sched_process_fork")
int lineage_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[1];

	/* A new thread is not a new process. */
	if (BPF_CORE_READ(task, tgid) == BPF_CORE_READ(task, pid))
		fork_image((struct task_struct *)ctx->args[0], task);
	return 0;
}

static __always_inline void execute_image(struct call *call)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct image *image = find_image(BPF_CORE_READ(task, tgid), leader);

	if (!image)
		return;
	if (image->head.forked) {
		read_state(call, task, STATE_NUMBERS);
		note_state(image, call->numbers);
	} else {
		image->head.parent_marks = image->head.marks;
		image->head.parent_followed = image->head.followed;
	}
	image->head.forked = 0;
	image->head.marks = marks_of_path(call, is_hosts_path(call, task));
	image->head.followed |= image->head.marks;
}

static __always_inline void walk_image(void *ctx, struct call *call, int steps)
{
	if (!walk_up(&call->walk, steps)) {
		if (call->next++ < MORE_CALLS)
			go_on(ctx, call, 0);
		call->walk.end = WALK_TOO_LONG;
	}
	execute_image(call);
	release_call(call);
}

SEC("?raw_tp/sched_process_exec")
int lineage_exec(void *ctx)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	call->next = 0;
	call->has_done = 1; /* it keeps its place */
	if (start_path(call, VALUE_BINARY, 0))
		walk_image(ctx, call, PATH_FIRST_STEPS);
	else
		release_call(call);
	return 0;
}

SEC("?raw_tp")
int lineage_exec_deep(void *ctx)
{
	struct call *call = claimed_call(ctx);

	if (call)
		walk_image(ctx, call, PATH_MORE_STEPS);
	return 0;
}

/* Whoever ends still makes calls afterwards: its files are closed, its sockets. */
SEC("?raw_tp/sched_process_free")
int lineage_free(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	__u32 pid = BPF_CORE_READ(task, pid);
	void *map = image_map();

	if (map && pid == (__u32)BPF_CORE_READ(task, tgid) && find_image(pid, task))
		forget_image(map, pid);
	return 0;
}
