/* SPDX-License-Identifier: GPL-2.0-only */
/* From a directory entry up to a root, as d_path() goes: names from the leaf to the root, across
 * mounts, each put in front of the last.
 */
#ifndef TETRAPY_WALK_H
#define TETRAPY_WALK_H

#include "gates.h"
#include "scratch.h"

/* Steps of one program without bpf_loop(). The first look is part of another program; deep paths go
 * on in one that calls itself. A path has at most 2047 components, so 29 calls are enough; two
 * paths of such a depth are reported in part. The verifier walks each step, and every start waits
 * for it.
 */
#if LINUX_4_19
#define WALK_FIRST_STEPS 4
#define WALK_MORE_STEPS 24
#else
#define WALK_FIRST_STEPS 8
#define WALK_MORE_STEPS 72
#endif

/* An event has 33 calls. One each is for a gate, the file, on_exec behind it, and the context: what
 * has none left is not reported. Steps have no bound, since a mount may be on another one's root.
 */
#define WALK_CALLS (LINUX_4_19 ? 28 : 29)

#define NAME_LIMIT 255 /* NAME_MAX of the kernel */

/* What a struct path leads to. */
struct path_end {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* Reads a struct path: at once where its members are neighbours, as in all kernels that do not
 * shuffle their structures. The verifier knows which, and drops the rest.
 */
static __always_inline struct path_end read_path_end(const void *from, __u64 mnt_at,
						     __u64 dentry_at)
{
	struct path_end end = {};

	if (dentry_at == mnt_at + sizeof(end.mnt)) {
		bpf_probe_read_kernel(&end, sizeof(end), from + mnt_at);
	} else {
		bpf_probe_read_kernel(&end.mnt, sizeof(end.mnt), from + mnt_at);
		bpf_probe_read_kernel(&end.dentry, sizeof(end.dentry), from + dentry_at);
	}
	return end;
}

#define READ_PATH(from, member)                                        \
	read_path_end(from, bpf_core_field_offset((from)->member.mnt), \
		      bpf_core_field_offset((from)->member.dentry))

/* What a walk wants of a directory entry. */
struct entry_names {
	struct dentry *parent;
	__u32 hash;
	__u32 length;
	const unsigned char *name;
};

/* As read_path_end() does. */
static __always_inline void read_entry_names(struct entry_names *found, struct dentry *dentry)
{
	__u64 parent_at = bpf_core_field_offset(dentry->d_parent);

	if (bpf_core_field_offset(dentry->d_name.len) == parent_at + 12 &&
	    bpf_core_field_offset(dentry->d_name.name) == parent_at + 16) {
		bpf_probe_read_kernel(found, sizeof(*found), (void *)dentry + parent_at);
		return;
	}
	found->parent = BPF_CORE_READ(dentry, d_parent);
	found->length = BPF_CORE_READ(dentry, d_name.len);
	found->name = BPF_CORE_READ(dentry, d_name.name);
}

static __always_inline struct mount *mount_of(struct vfsmount *vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void start_walk(struct path_walk *walk, struct vfsmount *mnt,
				       struct dentry *dentry)
{
	struct mount *mount = mount_of(mnt);

	walk->dentry = dentry;
	walk->mount = mount;
	walk->mount_root = BPF_CORE_READ(mount, mnt.mnt_root);
	walk->offset = PATH_LIMIT;
	walk->end = WALK_AT_ROOT;
}

/* Whether an entry has been removed from its directory: d_unlinked() of the kernel. What is above
 * itself never was in one. A kernel whose types do not tell it shows no such thing.
 */
static __always_inline int is_unlinked(struct dentry *dentry)
{
	return bpf_core_field_exists(dentry->d_hash.pprev) &&
	       !BPF_CORE_READ(dentry, d_hash.pprev) && BPF_CORE_READ(dentry, d_parent) != dentry;
}

/* Puts the entry's name in front. Returns 1, and says why in `end`, when it cannot. The kernel has
 * no bound for names: FUSE makes longer ones than NAME_MAX.
 */
static __always_inline int put_name(struct path_walk *walk, const struct entry_names *entry,
				    __u64 offset)
{
	__u64 length = entry->length;

	if (length > NAME_LIMIT || offset < length + 1) {
		walk->end = WALK_TOO_LONG;
		return 1;
	}
	barrier_var(length); /* else the compiler drops the mask, which old verifiers need */
	length &= NAME_LIMIT;
	offset -= length + 1;
	KEEP_BOUNDS(offset);
	walk->name[offset & PATH_LIMIT] = '/';
	if (bpf_probe_read_kernel(&walk->name[(offset + 1) & PATH_LIMIT], length & NAME_LIMIT,
				  entry->name)) {
		walk->end = WALK_UNREADABLE;
		return 1;
	}
	walk->offset = offset;
	return 0;
}

/* One step: the next name in front, or the next mount. Returns 1 when the walk is over. */
static __always_inline int step(struct path_walk *walk)
{
	/* Read anew each time: what comes out of a map is unknown to the verifier,
	 * so that it sees the same state at every step and looks at one only.
	 */
	struct dentry *dentry = *(struct dentry *volatile *)&walk->dentry;
	struct mount *mount = *(struct mount *volatile *)&walk->mount;
	__u64 offset = *(volatile __u64 *)&walk->offset;
	struct entry_names entry;

	if (dentry == walk->root_dentry && mount == walk->root_mount)
		return 1;
	if (dentry == walk->mount_root) {
		struct mount *below = BPF_CORE_READ(mount, mnt_parent);

		if (below == mount) {
			walk->end = WALK_UNREACHABLE;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = below;
		walk->mount_root = BPF_CORE_READ(below, mnt.mnt_root);
		return 0;
	}
	read_entry_names(&entry, dentry);
	if (entry.parent == dentry) {
		walk->end = WALK_UNREACHABLE;
		return 1;
	}
	if (put_name(walk, &entry, offset))
		return 1;
	walk->dentry = entry.parent;
	return 0;
}

/* Goes on in a program of more steps; returns when the event's walks have had too many. */
static __always_inline void walk_on(void *ctx, struct scratch *scratch, __u32 program)
{
	if (scratch->walk_calls >= WALK_CALLS)
		return;
	scratch->walk_calls++;
	go_on_in(ctx, program);
}

/* Returns 1 when the walk is over, 0 when steps were too few. */
static __always_inline int walk_up(struct path_walk *walk, int steps)
{
	int i;

	TURN_BY_TURN
	for (i = 0; i < steps; i++)
		if (step(walk))
			return 1;
	return 0;
}

/* A path of 2047 components, and mounts between them. */
#define WALK_LOOP_STEPS 2304

static long step_in_loop(__attribute__((unused)) __u32 turn, struct path_walk **walk)
{
	return step(*walk);
}

/* The whole walk, in programs that are loaded only where the kernel has bpf_loop(). */
static __always_inline void walk_in_loop(struct path_walk *walk)
{
	if (bpf_loop(WALK_LOOP_STEPS, step_in_loop, &walk, 0) == WALK_LOOP_STEPS)
		walk->end = WALK_TOO_LONG;
}

#endif
