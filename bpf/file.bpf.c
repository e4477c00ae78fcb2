// SPDX-License-Identifier: GPL-2.0-only
/* Looks at the file that an exec executes: see file.h. Not loaded where this kernel's types do not
 * tell what is read here.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "gates.h"
#include "file.h"
#include "host.h"
#include "settings.h"

char LICENSE[] SEC("license") = "GPL";

/* Has the walk end at the host's root. Returns whether the process has it for its root too. */
static __always_inline int has_hosts_root(struct path_walk *walk, struct task_struct *task)
{
	struct path_end hosts = hosts_root(task);

	walk->root_mount = hosts.mnt ? mount_of(hosts.mnt) : 0;
	walk->root_dentry = hosts.dentry;
	return is_root_of(task, hosts);
}

/* Whether the walk has led to the path that was asked for. Longer ones are reported. Eight bytes at
 * once: what is behind the end is shifted out.
 */
static __always_inline int is_path(struct path_walk *walk, char *given, const char *path)
{
	__u64 offset = walk->offset;
	__u64 size = (PATH_LIMIT - offset) & PATH_LIMIT;
	__u64 i;

	if ((__u64)bpf_probe_read_kernel_str(given, MASKS_PATH, path) != size + 1)
		return 0;
	TURN_BY_TURN
	for (i = 0; i < MASKS_PATH; i += 8) {
		__u64 name = *(const __u64 *)&walk->name[(offset + i) & PATH_LIMIT];
		__u64 differences = *(const __u64 *)&given[i] ^ name;

		if (i + 8 >= size)
			return !size || !(differences << (8 * (i + 8 - size) & 63));
		if (differences)
			return 0;
	}
	return 0;
}

/* What the walk has led to. */
static __always_inline void conclude(struct bpf_raw_tracepoint_args *ctx, struct scratch *scratch,
				     struct file_check *found)
{
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	const char *path = BPF_CORE_READ(binprm, filename);
	struct path_walk *walk = &found->walk;

	if (walk->end == WALK_UNREACHABLE)
		found->file.flags |= FILE_FOREIGN;
	else if (walk->end)
		found->file.flags |= FILE_PARTIAL;
	if (BPF_CORE_READ(binprm, interp) != path)
		found->file.flags |= FILE_INTERPRETER;
	found->state = FILE_CHECKED;
	if (!found->file.flags && is_path(walk, scratch->masks_path, path))
		found->state |= FILE_AGREES;
	else
		found->state |= FILE_DIFFERS;
	go_on_in(ctx, CALL_ON_EXEC);
}

static __always_inline void go_on(struct bpf_raw_tracepoint_args *ctx, struct scratch *scratch,
				  struct file_check *found, int steps)
{
#if !LINUX_4_19
	if (use_loops) {
		go_on_in(ctx, CALL_ON_EXEC_FILE_LOOP);
		return;
	}
#endif
	if (!walk_up(&found->walk, steps)) {
		walk_on(ctx, scratch, CALL_ON_EXEC_FILE_DEEP);
		found->walk.end = WALK_TOO_LONG;
	}
	conclude(ctx, scratch, found);
}

static __always_inline void check_file(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	struct file *file = BPF_CORE_READ(binprm, file);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct scratch *scratch = get_scratch();
	struct entry_names entry;
	struct file_check *found;
	__u32 flags = 0;

	if (!scratch)
		return;
	found = get_file_check(scratch);
	if (!found)
		return;
	start_walk(&found->walk, BPF_CORE_READ(file, f_path.mnt), dentry);
	/* A file without a directory, such as a memfd, has but a name. */
	read_entry_names(&entry, dentry);
	if (entry.parent == dentry && dentry != found->walk.mount_root)
		put_name(&found->walk, &entry, PATH_LIMIT);
	if (!has_hosts_root(&found->walk, task))
		flags |= FILE_FOREIGN;
	found->file.inode = BPF_CORE_READ(inode, i_ino);
	found->file.device = BPF_CORE_READ(inode, i_sb, s_dev);
	found->file.links = BPF_CORE_READ(inode, i_nlink);
	if (!found->file.links || is_unlinked(dentry))
		flags |= FILE_DELETED;
	found->file.flags = flags;
	go_on(ctx, scratch, found, WALK_FIRST_STEPS);
}

SEC("?raw_tp")
BEHIND_GATE(on_exec_file, check_file)

/* Goes on with a deep path. */
static __always_inline void check_file_deep(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();
	struct file_check *found;

	if (!scratch)
		return;
	found = get_file_check(scratch);
	if (found)
		go_on(ctx, scratch, found, WALK_MORE_STEPS);
}

SEC("?raw_tp")
BEHIND_GATE(on_exec_file_deep, check_file_deep)

#if !LINUX_4_19
/* Goes on with any path. */
static __always_inline void check_file_in_loop(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();
	struct file_check *found;

	if (!scratch)
		return;
	found = get_file_check(scratch);
	if (!found)
		return;
	walk_in_loop(&found->walk);
	conclude(ctx, scratch, found);
}

SEC("?raw_tp/5.17")
BEHIND_GATE(on_exec_file_loop, check_file_in_loop)
#endif
