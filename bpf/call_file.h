/* SPDX-License-Identifier: GPL-2.0-only */
/* The values of a call that are files: their paths, and what a record says of them besides. */
#ifndef TETRAPY_CALL_FILE_H
#define TETRAPY_CALL_FILE_H

#include "call_value.h"
#include "call_nameless.h"
#include "executables.h"
#include "host.h"
#include "walk.h"

/* Of a path: the first look is part of the program that found the file. */
#define PATH_FIRST_STEPS 10
#define PATH_MORE_STEPS 64

static __always_inline struct file *file_of_descriptor(__u64 number)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = 0;

	if ((__u32)number >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), &files[(__u32)number]);
	return file;
}

/* The file that a value names; 0 where there is none, or where the types of the kernel do not tell.
 */
static __always_inline struct file *file_of(struct task_struct *task, __u32 kind, __u64 pointer)
{
	if (kind == VALUE_FD)
		return bpf_core_field_exists(struct files_struct, fdt) ? file_of_descriptor(pointer)
								       : 0;
	if (kind == VALUE_BINARY || kind == VALUE_HOSTS_BINARY)
		return bpf_core_field_exists(struct mm_struct, exe_file)
			       ? BPF_CORE_READ(task, mm, exe_file)
			       : 0;
	if (kind == VALUE_BINPRM)
		return bpf_core_field_exists(struct linux_binprm, file)
			       ? BPF_CORE_READ((struct linux_binprm *)pointer, file)
			       : 0;
	if (kind == VALUE_KIOCB)
		return bpf_core_field_exists(struct kiocb, ki_filp)
			       ? BPF_CORE_READ((struct kiocb *)pointer, ki_filp)
			       : 0;
	return (struct file *)pointer;
}

/* Whether the file at `file` is what the process executed, and its root directory the host's. */
static __always_inline int is_hosts_binary(struct task_struct *task, struct file *file)
{
	struct task_struct *first = find_first_process(task);

	return bpf_core_field_exists(file->f_flags) && is_opened_to_execute(file) &&
	       bpf_core_field_exists(struct cred, user_ns) &&
	       BPF_CORE_READ(task, cred, user_ns) == BPF_CORE_READ(first, cred, user_ns) &&
	       is_root_of(task, hosts_root(task));
}

/* Where the path of a value begins: call->walk. Returns 0 where there is none. That of a dentry
 * ends at the root of its file system, since nobody knows a mount.
 */
static __always_inline int start_path(struct call *call, __u32 kind, __u64 pointer)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_walk *walk = &call->walk;
	struct file *file = file_of(task, kind, pointer);
	struct path_end root = READ_PATH(fs, root);
	struct path_end end = {};
	struct dentry *dentry;
	struct path *path;

	if (!bpf_core_field_exists(struct file, f_path))
		return 0;
	walk->root_dentry = root.dentry;
	walk->root_mount = mount_of(root.mnt);
	call->whose = ANYBODYS_PATH;
	if (kind == VALUE_HOSTS_BINARY)
		call->whose = is_hosts_binary(task, file) ? HOSTS_PATH : FOREIGN_PATH;
	path = (void *)file + bpf_core_field_offset(struct file, f_path);
	if (kind == VALUE_PATH)
		path = (struct path *)pointer;
	if (kind == VALUE_DENTRY) {
		dentry = (struct dentry *)pointer;
		start_walk(walk, 0, dentry);
	} else {
		if (file)
			end = read_path_end(path, bpf_core_field_offset(path->mnt),
					    bpf_core_field_offset(path->dentry));
		dentry = end.dentry;
		start_walk(walk, end.mnt, dentry);
	}
	if (!dentry)
		return 0;
	call->entry = dentry;
	return 1;
}

/* What only a record tells of a file: its mode, and whether it is unlinked. */
static __always_inline void complete_file(struct call_value *value, struct dentry *dentry)
{
	value->detail = BPF_CORE_READ(dentry, d_inode, i_mode);
	if (is_unlinked(dentry))
		value->flags |= CALL_VALUE_DELETED;
}

/* The same of a value that filters asked for. */
static __always_inline void complete_filtered(struct call *call, __u32 index)
{
	__u64 at = call->text_at[index & (HOOK_VALUES - 1)] - sizeof(struct call_value);

	barrier_var(at); /* what is compared is what is used */
	if (call->files >> (index & (HOOK_VALUES - 1)) & 1 && at <= CALL_DATA_MOST)
		complete_file((void *)&call->data[at], call->entries[index & (HOOK_VALUES - 1)]);
}

static __always_inline void append_walked(struct call *call, __u32 index)
{
	struct call_value *value = begin_value(call, index);
	struct path_walk *walk = &call->walk;
	__u64 offset, size;
	int flags;

	if (call->whose == FOREIGN_PATH || (call->whose == HOSTS_PATH && walk->end != WALK_AT_ROOT))
		call->foreign_paths |= 1 << (index & (HOOK_VALUES - 1));
	/* In no directory, and not the root of a mount. */
	if (walk->end == WALK_UNREACHABLE && walk->offset == PATH_LIMIT && walk->mount_root &&
	    walk->mount_root != walk->dentry) {
		flags = name_nameless(walk);
		if (flags >= 0) {
			walk->end = WALK_AT_ROOT;
			value->flags = flags;
		}
	}
	offset = walk->offset & PATH_LIMIT;
	size = (PATH_LIMIT - offset) & PATH_LIMIT;
	if (walk->end == WALK_UNREADABLE || walk->end == WALK_TOO_LONG)
		call->unknown_paths |= 1 << (index & (HOOK_VALUES - 1));
	if (walk->end == WALK_UNREADABLE)
		value->flags |= CALL_VALUE_ERROR;
	else if (walk->end != WALK_AT_ROOT && (walk->end != WALK_UNREACHABLE ||
					       walk->mount_root)) /* of a dentry it ends there */
		value->flags |= CALL_VALUE_PARTIAL;
	if (size) {
		bpf_probe_read_kernel(value + 1, size & PATH_LIMIT, &walk->name[offset]);
	} else if (walk->end != WALK_TOO_LONG) {
		*(char *)(value + 1) = '/';
		size = 1;
	}
	end_value(call, value, index, size);
	if (call->filtered) {
		call->entries[index & (HOOK_VALUES - 1)] = call->entry;
		call->files |= 1 << (index & (HOOK_VALUES - 1));
	} else {
		complete_file(value, call->entry);
	}
}

#endif
