/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a record is put together before it is submitted; too large for the stack. One per CPU, or
 * per CPU and gate: a program is not interrupted by itself.
 */
#ifndef TETRAPY_SCRATCH_H
#define TETRAPY_SCRATCH_H

#include "gates.h"

#ifndef SHARED
#define SHARED extern
#endif

/* How a walk ended. */
enum walk_end {
	WALK_AT_ROOT = 0,
	WALK_UNREACHABLE = 1, /* at another root: detached, of another mount namespace, outside */
	WALK_TOO_LONG = 2,
	WALK_UNREADABLE = 3,
};

/* From a directory or a file up to a root, see walk.h. */
struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root; /* mount->mnt.mnt_root */
	struct dentry *root_dentry;
	struct mount *root_mount;
	__u64 offset; /* of the path's first byte in name[] */
	__u64 end; /* enum walk_end */
	char name[PATH_LIMIT + 1 + 256]; /* filled from PATH_LIMIT down */
};

/* path, args, cwd, cgroup and the structures that may follow end below this mask, so that each may
 * begin anywhere below it; the file's path is last. A mask is no branch: the verifier would look at
 * both sides of each.
 */
#define DATA_MASK 16383
#define DATA_SIZE (DATA_MASK + 1 + PATH_LIMIT + 1)

_Static_assert(2 * PATH_LIMIT + ARGS_INLINE_LIMIT + CGROUP_LIMIT + sizeof(struct exec_context) +
			       sizeof(struct exec_file) <=
		       DATA_MASK,
	       "the file's path begins below the mask");

struct args_chunk {
	struct args_event event;
	char data[ARGS_CHUNK + 1];
};

struct throttle_record {
	struct throttle_event event;
	char name[CGROUP_NAME];
};

/* The process that an exec event is about, and since when. */
struct exec_task {
	struct task_struct *task; /* the leader of its thread group, or any thread */
	struct task_struct *parent;
	__u64 start;
	__u64 ktime;
	__u32 pid;
};

/* Arguments or environment, where the kernel put them for the new image. */
struct area {
	unsigned long start;
	__u64 size;
};

/* What on_exec has found out of an image that is to be reported. */
struct new_image {
	struct exec_task exec;
	const char *path;
	struct area args;
	struct area env;
	__u64 fork_parent_start;
	__u32 fork_parent_pid;
	__u32 deferred_children;
};

struct scratch {
	/* Long arguments have left before the exec event is put together. */
	union {
		struct {
			struct exec_event event;
			char data[DATA_SIZE];
		};
		struct args_chunk chunk;
		struct throttle_record throttle;
	};
	struct new_image image;
	struct path_walk cwd;
	struct kernfs_node *cgroup; /* the next one whose name is read */
	struct linux_binprm *binprm; /* 0 for an image that was suppressed */
	__u64 used; /* bytes of data[] */
	__u32 area_total; /* bytes of an area of the new image to send ahead */
	__u32 area_sent; /* ... and how many were */
	__u32 area_flags; /* enum exec_flag */
	__u64 area_lost; /* records that found no room */
	__u32 entry; /* the current one; where it is a constant the verifier walks further */
	__u32 walk_calls; /* see walk_on() */
	char masks_path[MASKS_PATH]; /* zero-filled */
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
	__u32 entry = current_entry();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &entry);

	if (scratch)
		scratch->entry = entry;
	return scratch;
}

/* Where the next part of an exec event begins. */
static __always_inline __u64 data_end(struct scratch *scratch)
{
	return *(volatile __u64 *)&scratch->used & DATA_MASK;
}

#endif
