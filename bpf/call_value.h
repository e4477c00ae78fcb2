/* SPDX-License-Identifier: GPL-2.0-only */
/* The values of a call, read and put behind one another into the record. */
#ifndef TETRAPY_CALL_VALUE_H
#define TETRAPY_CALL_VALUE_H

#include "call.h"
#include "call_socket.h"
#include "kernel_values.h"
#include "call_nameless.h"
#include "executables.h"
#include "host.h"
#include "walk.h"

/* Of a path: the first look is part of the program that found the file. */
#define PATH_FIRST_STEPS 24
#define PATH_MORE_STEPS 64

static __always_inline __u32 call_end(struct call *call)
{
	__u32 used = *(volatile __u32 *)&call->used;

	return used > CALL_DATA_MOST ? CALL_DATA_MOST : used;
}

/* Bytes of all values: of those that had room. */
static __always_inline __u32 call_size(struct call *call)
{
	__u32 used = *(volatile __u32 *)&call->used;

	return used > CALL_DATA_SIZE ? CALL_DATA_SIZE : used;
}

/* Begins a value; its bytes go where this returns. */
static __always_inline struct call_value *begin_value(struct call *call, __u32 index)
{
	struct call_value *value = (void *)&call->data[call_end(call)];

	value->index = index;
	value->flags = 0;
	value->size = 0;
	value->detail = 0;
	value->__pad = 0;
	call->text_at[index & (HOOK_VALUES - 1)] = call->used + sizeof(*value);
	call->text_size[index & (HOOK_VALUES - 1)] = 0;
	call->used += sizeof(*value);
	return value;
}

static __always_inline void end_value(struct call *call, struct call_value *value, __u32 index,
				      __u32 size)
{
	value->size = size;
	call->text_size[index & (HOOK_VALUES - 1)] = size;
	call->used += size;
}

static __always_inline void append_number(struct call *call, __u32 index)
{
	struct call_value *value = begin_value(call, index);

	if (call->unreadable >> (index & (HOOK_VALUES - 1)) & 1)
		value->flags = CALL_VALUE_ERROR;
	*(__u64 *)(value + 1) = call->numbers[index & (HOOK_VALUES - 1)];
	end_value(call, value, index, sizeof(__u64));
}

/* What reading a text came to: `size` is a helper's answer, of at most `most` bytes. */
static __always_inline void end_text(struct call *call, struct call_value *value, __u32 index,
				     long size, long most)
{
	if (size < 0)
		value->flags |= CALL_VALUE_ERROR;
	if (size <= 0) /* old kernels say 0 of a text that is empty */
		size = 1;
	if (size > most)
		value->flags |= CALL_VALUE_CUT;
	end_value(call, value, index, (size - 1) & (2 * TEXT_LIMIT - 1));
}

static __always_inline void append_text(struct call *call, __u32 index, void *text)
{
	struct call_value *value = begin_value(call, index);
	void *to = value + 1;
	long size;

	if (is_user(text))
		size = bpf_probe_read_user_str(to, TEXT_LIMIT + 1, text);
	else
		size = bpf_probe_read_kernel_str(to, TEXT_LIMIT + 1, text);
	end_text(call, value, index, size, TEXT_LIMIT);
}

static __always_inline void append_string(struct call *call, __u32 index)
{
	append_text(call, index, (void *)call->numbers[index & (HOOK_VALUES - 1)]);
}

/* A tracepoint's dynamic array: the number is its size and its offset in the record. */
static __always_inline void append_dynamic(void *ctx, struct call *call, __u32 index)
{
	struct call_value *value = begin_value(call, index);
	__u64 place = call->numbers[index & (HOOK_VALUES - 1)];
	__u32 most = (place >> 16) & (TEXT_LIMIT - 1);
	long size;

	size = bpf_probe_read_kernel_str(value + 1, most + 1, ctx + (place & 0xffff));
	end_text(call, value, index, size, TEXT_LIMIT);
}

/* As many bytes as another argument says; `detail` is that number. */
static __always_inline void append_bytes(struct call *call, const struct hook_value *wanted,
					 __u32 index)
{
	struct call_value *value = begin_value(call, index);
	void *bytes = (void *)call->numbers[index & (HOOK_VALUES - 1)];
	void *to = value + 1;
	__u64 size = 0;
	__u32 which = wanted->length;
	long err;

	if (which)
		size = call->arguments[(which - 1) & (CALL_ARGUMENTS - 1)];
	value->detail = size;
	/* What was asked for was filled in as far as the function says. */
	if (call->at_return && (__s64)call->returned < (__s64)size)
		size = (__s64)call->returned < 0 ? 0 : call->returned;
	if (size > PATH_LIMIT) {
		size = PATH_LIMIT;
		value->flags = CALL_VALUE_CUT;
	}
	size &= PATH_LIMIT;
	if (is_user(bytes))
		err = bpf_probe_read_user(to, size, bytes);
	else
		err = bpf_probe_read_kernel(to, size, bytes);
	if (err) {
		value->flags |= CALL_VALUE_ERROR;
		size = 0;
	}
	end_value(call, value, index, size);
}

static __always_inline void append_socket(struct call *call, const struct hook_value *wanted,
					  __u32 index)
{
	struct call_value *value = begin_value(call, index);
	struct call_socket *found = &call->sockets[wanted->length & (HOOK_SOCKETS - 1)];

	if (!call->numbers[index & (HOOK_VALUES - 1)])
		value->flags = CALL_VALUE_ERROR;
	bpf_probe_read_kernel(value + 1, sizeof(*found), found);
	end_value(call, value, index, sizeof(*found));
}

/* The path of a unix socket's address; `detail` is the family. */
static __always_inline void append_unix_address(struct call *call, const struct hook_value *wanted,
						__u32 index)
{
	struct call_value *value = begin_value(call, index);
	const char *path = (const char *)call->numbers[index & (HOOK_VALUES - 1)] + 2;
	__u8 *to = (void *)(value + 1);
	__u8 abstract = 1;
	long size;

	value->detail = call->sockets[wanted->length & (HOOK_SOCKETS - 1)].family;
	if (value->detail != AF_UNIX) {
		end_value(call, value, index, 0);
		return;
	}
	if (is_user(path)) {
		bpf_probe_read_user(&abstract, 1, path);
		size = bpf_probe_read_user_str(to, UNIX_PATH + 1, abstract ? path : path + 1);
	} else {
		bpf_probe_read_kernel(&abstract, 1, path);
		size = bpf_probe_read_kernel_str(to, UNIX_PATH + 1, abstract ? path : path + 1);
	}
	if (!abstract)
		value->flags |= CALL_VALUE_ABSTRACT;
	end_text(call, value, index, size, UNIX_PATH);
}

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

/* What only a record tells of files: their mode, and whether they are unlinked. */
static __always_inline void complete_files(struct call *call)
{
	__u32 files = call->files;
	__u32 i;

	call->files = 0;
	for (i = 0; i < HOOK_VALUES; i++) {
		struct dentry *dentry = call->entries[i];
		__u64 at = call->text_at[i] - sizeof(struct call_value);
		struct call_value *value;

		barrier_var(at); /* what is compared is what is used */
		if (!(files >> i & 1) || at > CALL_DATA_MOST)
			continue;
		value = (void *)&call->data[at];
		value->detail = BPF_CORE_READ(dentry, d_inode, i_mode);
		if (is_unlinked(dentry))
			value->flags |= CALL_VALUE_DELETED;
	}
}

static __always_inline void append_walked(struct call *call, __u32 index)
{
	struct call_value *value = begin_value(call, index);
	struct path_walk *walk = &call->walk;
	__u64 offset, size;
	int flags;

	call->entries[index & (HOOK_VALUES - 1)] = call->entry;
	call->files |= 1 << (index & (HOOK_VALUES - 1));
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
}

#endif
