/* SPDX-License-Identifier: GPL-2.0-only */
/* What is reported of an image that was suppressed until now. */
#ifndef TETRAPY_RESTORE_H
#define TETRAPY_RESTORE_H

#include "exec.h"
#include "filter_masks.h"

/* Its path, and what else was noted when it began: the process may have changed since. */
static __always_inline void restore_suppressed(struct scratch *scratch, struct process *process)
{
	struct exec_event *event = &scratch->event;
	char *path = bpf_map_lookup_elem(&suppressed_paths, &event->pid);

	scratch->binprm = 0;
	event->flags |= EXEC_SUPPRESSED;
	event->uid = process->uid;
	event->real_uid = process->real_uid;
	event->auid = process->auid;
	if (process->state & PROCESS_FILE_DIFFERS)
		event->flags |= EXEC_FILE_UNREPORTED;
	if (process->state & PROCESS_CLONED) {
		event->flags |= EXEC_CLONED;
		event->fork_parent_pid = process->parent_pid;
		event->fork_parent_start = process->parent_start;
	}
	if (path)
		append_path(scratch, path);
	else
		event->flags |= EXEC_PATH_ERROR;
}

#endif
