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
	struct vfsmount *vfsmount = BPF_CORE_READ(fs, pwd.mnt);

	walk->dentry = BPF_CORE_READ(fs, pwd.dentry);
	walk->mount = mount_of(vfsmount);
	walk->mount_root = BPF_CORE_READ(vfsmount, mnt_root);
	walk->root_dentry = BPF_CORE_READ(fs, root.dentry);
	walk->root_mount = BPF_CORE_READ(fs, root.mnt);
	walk->offset = PATH_LIMIT;
}

/* Returns 1 when the walk is over, 0 when steps were too few. */
static __always_inline int walk_cwd(struct cwd_walk *walk, __u32 *flags, int steps)
{
	struct vfsmount *root_mount = walk->root_mount;
	struct dentry *root_dentry = walk->root_dentry;
	struct dentry *mount_root = walk->mount_root;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	__u64 offset = walk->offset;
	int step;

	for (step = 0; step < steps; step++) {
		const unsigned char *name;
		struct dentry *parent;
		__u64 length;

		if (!dentry) {
			*flags |= EXEC_CWD_ERROR;
			return 1;
		}
		if (dentry == root_dentry && mount == mount_of(root_mount))
			return 1;
		if (dentry == mount_root) {
			struct mount *below = BPF_CORE_READ(mount, mnt_parent);

			if (below == mount)
				return 1;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = below;
			mount_root = BPF_CORE_READ(mount, mnt.mnt_root);
			walk->dentry = dentry;
			walk->mount = mount;
			walk->mount_root = mount_root;
			continue;
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
		if (bpf_probe_read_kernel(&walk->name[(offset + 1) & PATH_LIMIT], length & 255,
					  name)) {
			*flags |= EXEC_CWD_ERROR;
			return 1;
		}
		walk->offset = offset;
		walk->dentry = dentry = parent;
	}
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
