/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a record is put together before it is submitted; too large for the
 * stack. One per CPU: a program is not interrupted by itself.
 */
#ifndef TETRAPY_SCRATCH_H
#define TETRAPY_SCRATCH_H

#ifndef SHARED
#define SHARED extern
#endif

/* How a walk ended. */
enum walk_end {
	WALK_AT_ROOT = 0,
	WALK_ASTRAY = 1, /* at another root: detached, of another mount namespace, outside */
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

/* path, args, cwd, cgroup and a file's path have at most 4095 bytes each. */
#define DATA_PLACES (20480 + sizeof(struct exec_file) + sizeof(struct exec_context))

struct args_piece {
	struct args_event event;
	char data[ARGS_PIECE + 1];
};

struct throttle_piece {
	struct throttle_event event;
	char name[CGROUP_NAME];
};

struct scratch {
	/* Long arguments have left before the exec event is put together. */
	union {
		struct {
			struct exec_event event;
			/* What the largest parts leave of it is more than one of them,
			 * so that each may begin anywhere below DATA_PLACES.
			 */
			char data[DATA_PLACES + PATH_LIMIT + 1];
		};
		struct args_piece piece;
		struct throttle_piece throttle;
	};
	struct path_walk cwd;
	struct kernfs_node *cgroup; /* the next one whose name is read */
	struct linux_binprm *binprm; /* 0 for an image that is told late */
	__u64 used; /* bytes of data[] */
	__u32 area_total; /* bytes of an area of the new image to send ahead */
	__u32 area_sent; /* ... and how many were */
	__u32 area_flags; /* enum exec_flag */
	char verdict_path[VERDICT_PATH]; /* zero-filled */
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/* Where the next part of an exec event begins. */
static __always_inline __u64 data_end(struct scratch *scratch)
{
	__u64 used = *(volatile __u64 *)&scratch->used;

	if (used >= DATA_PLACES)
		used = 0;
	/* Else clang adds to it before it compares it, and the verifier of 6.1 takes the sum for
	 * unbounded.
	 */
	barrier_var(used);
	return used;
}

#endif
