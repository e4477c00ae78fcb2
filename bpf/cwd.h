/* SPDX-License-Identifier: GPL-2.0-only */
/* The working directory, as d_path() builds it: names from the leaf to the
 * root, across mounts, each put in front of the last.
 */
#ifndef TETRAPY_CWD_H
#define TETRAPY_CWD_H

#include "scratch.h"

/* The first look is part of the exec program; deeper directories go on in a
 * program that calls itself, at most 32 times: 16 + 33 * 64 steps.
 */
#define CWD_FIRST_STEPS 16
#define CWD_MORE_STEPS 64

static __always_inline struct mount *mount_of(struct vfsmount *vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void start_cwd(struct cwd_walk *walk, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct mount *mount = mount_of(BPF_CORE_READ(fs, pwd.mnt));

	walk->dentry = BPF_CORE_READ(fs, pwd.dentry);
	walk->mount = mount;
	walk->mount_root = BPF_CORE_READ(mount, mnt.mnt_root);
	walk->root_dentry = BPF_CORE_READ(fs, root.dentry);
	walk->root_mount = mount_of(BPF_CORE_READ(fs, root.mnt));
	walk->offset = PATH_LIMIT;
}

/* One step: the next name in front, or the next mount. Returns 1 when the walk is
 * over.
 */
static __always_inline int step_cwd(struct cwd_walk *walk, __u32 *flags)
{
	/* Read anew each time: what comes out of a map is unknown to the verifier,
	 * so that it sees the same state at every step and looks at one only.
	 */
	struct dentry *dentry = *(struct dentry *volatile *)&walk->dentry;
	struct mount *mount = *(struct mount *volatile *)&walk->mount;
	__u64 offset = *(volatile __u64 *)&walk->offset;
	const unsigned char *name;
	struct dentry *parent;
	__u64 length;

	if (dentry == walk->root_dentry && mount == walk->root_mount)
		return 1;
	if (dentry == walk->mount_root) {
		struct mount *below = BPF_CORE_READ(mount, mnt_parent);

		if (below == mount)
			return 1;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = below;
		walk->mount_root = BPF_CORE_READ(below, mnt.mnt_root);
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry)
		return 1;
	length = BPF_CORE_READ(dentry, d_name.len) & 255;
	if (offset < length + 1) {
		*flags |= EXEC_CWD_PARTIAL;
		return 1;
	}
	name = BPF_CORE_READ(dentry, d_name.name);
	offset -= length + 1;
	walk->name[offset & PATH_LIMIT] = '/';
	if (bpf_probe_read_kernel(&walk->name[(offset + 1) & PATH_LIMIT], length & 255, name)) {
		*flags |= EXEC_CWD_ERROR;
		return 1;
	}
	walk->offset = offset;
	walk->dentry = parent;
	return 0;
}

/* Returns 1 when the walk is over, 0 when steps were too few. */
static __always_inline int walk_cwd(struct cwd_walk *walk, __u32 *flags, int steps)
{
	int step;

	for (step = 0; step < steps; step++)
		if (step_cwd(walk, flags))
			return 1;
	return 0;
}

static __always_inline void append_cwd(struct scratch *scratch)
{
	struct cwd_walk *walk = &scratch->walk;
	__u64 offset = walk->offset;
	__u64 size = (PATH_LIMIT - offset) & PATH_LIMIT;

	if (scratch->event.flags & EXEC_CWD_ERROR)
		size = 0;
	else if (!size)
		scratch->event.flags |= EXEC_CWD_ROOT;
	if (size)
		bpf_probe_read_kernel(&scratch->data[scratch->used & 8191], size & PATH_LIMIT,
				      &walk->name[offset & PATH_LIMIT]);
	scratch->event.cwd_size = size;
	scratch->used += size;
}

#endif
