/* SPDX-License-Identifier: GPL-2.0-only */
/* The working directory, as seen from the root of its process. */
#ifndef TETRAPY_CWD_H
#define TETRAPY_CWD_H

#include "walk.h"

static __always_inline void start_cwd(struct scratch *scratch, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_walk *walk = &scratch->cwd;
	struct path_end directory = READ_PATH(fs, pwd);
	struct path_end root = READ_PATH(fs, root);

	start_walk(walk, directory.mnt, directory.dentry);
	walk->root_dentry = root.dentry;
	walk->root_mount = mount_of(root.mnt);
	if (is_unlinked(walk->dentry))
		scratch->event.flags |= EXEC_CWD_DELETED;
}

static __always_inline void append_cwd(struct scratch *scratch)
{
	struct path_walk *walk = &scratch->cwd;
	__u64 offset = walk->offset;
	__u64 size = (PATH_LIMIT - offset) & PATH_LIMIT;

	if (walk->end == WALK_UNREADABLE) {
		scratch->event.flags |= EXEC_CWD_ERROR;
		size = 0;
	} else if (walk->end != WALK_AT_ROOT) {
		scratch->event.flags |= EXEC_CWD_PARTIAL;
	} else if (!size) {
		scratch->event.flags |= EXEC_CWD_ROOT;
	}
	if (size) {
		KEEP_BOUNDS(size);
		bpf_probe_read_kernel(&scratch->data[data_end(scratch)], size & PATH_LIMIT,
				      &walk->name[offset & PATH_LIMIT]);
	}
	scratch->event.cwd_size = size;
	scratch->used += size;
}

#endif
