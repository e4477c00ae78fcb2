/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a record is put together before it is submitted; too large for the
 * stack. One per CPU: a program is not interrupted by itself.
 */
#ifndef TETRAPY_SCRATCH_H
#define TETRAPY_SCRATCH_H

#ifndef SHARED
#define SHARED extern
#endif

/* From the working directory of a process up to its root. */
struct cwd_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root; /* mount->mnt.mnt_root */
	struct dentry *root_dentry;
	struct mount *root_mount;
	__u64 offset; /* of the path's first byte in name[] */
	char name[PATH_LIMIT + 1 + 256]; /* filled from PATH_LIMIT down */
};

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
			/* path, args, cwd and cgroup fill at most 4 * 4095 bytes, so the
			 * mask for the place of each is 16383; none of those that follow
			 * args is written in pieces of more than 4096.
			 */
			char data[16384 + CGROUP_LIMIT + 1];
		};
		struct args_piece piece;
		struct throttle_piece throttle;
	};
	struct cwd_walk walk;
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

#endif
