/* SPDX-License-Identifier: GPL-2.0-only */
/* The file that was executed, when it is not what the path says.
 *
 * Who executes chooses the path, and what it means to him: by links and `..`, which are taken out
 * as text, by another root directory, by mounts of his own, by a directory that was unmounted.
 * The file itself has a place that he does not choose. Mostly it agrees with the path; that is seen
 * here (file.bpf.c), and nothing is reported then.
 */
#ifndef TETRAPY_FILE_H
#define TETRAPY_FILE_H

#include "scratch.h"
#include "settings.h"
#include "walk.h"

/* What is known of the file that is executed. */
enum file_state {
	FILE_UNKNOWN = 0, /* nobody asks, or this kernel's types do not tell */
	FILE_CHECKED = 1, /* by on_exec_file, of which on_exec is the rest */
	FILE_AGREES = 2, /* with the path that was asked for: nothing is to be reported */
	FILE_DIFFERS = 4,
};

/* Apart from the scratch buffer, which is full. */
struct file_check {
	struct path_walk walk;
	struct exec_file file;
	__u32 state; /* enum file_state */
	__u32 __pad;
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct file_check);
} file_checks SEC(".maps");

static __always_inline struct file_check *get_file_check(const struct scratch *scratch)
{
	return bpf_map_lookup_elem(&file_checks, &scratch->entry);
}

/* Whether on_exec_file was here for this exec. What on_exec then finds is of it. */
static __always_inline int file_was_checked(const struct scratch *scratch)
{
	struct file_check *found = get_file_check(scratch);

	if (!found)
		return 1;
	if (found->state & FILE_CHECKED) {
		found->state &= ~FILE_CHECKED;
		return 1;
	}
	found->state = FILE_UNKNOWN;
	return 0;
}

static __always_inline int file_differs(const struct scratch *scratch)
{
	struct file_check *found = get_file_check(scratch);

	return want_file && found && found->state == FILE_DIFFERS;
}

static __always_inline void append_file(struct scratch *scratch)
{
	struct file_check *found = get_file_check(scratch);
	__u64 offset, size;

	if (!scratch->binprm || !found || found->state != FILE_DIFFERS)
		return;
	offset = found->walk.offset;
	size = (PATH_LIMIT - offset) & PATH_LIMIT;
	bpf_probe_read_kernel(&scratch->data[data_end(scratch)], sizeof(found->file), &found->file);
	scratch->used += sizeof(found->file);
	if (size) {
		KEEP_BOUNDS(size);
		bpf_probe_read_kernel(&scratch->data[data_end(scratch)], size & PATH_LIMIT,
				      &found->walk.name[offset & PATH_LIMIT]);
	}
	scratch->event.file_size = sizeof(found->file) + size;
	scratch->used += size;
}

#endif
