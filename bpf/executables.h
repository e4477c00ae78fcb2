/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether somebody executed the file that is kept as a process's executable. Who is capable in some
 * user namespace may name another one for his process, and with it for those who share its memory
 * (PR_SET_MM_MAP).
 */
#ifndef TETRAPY_EXECUTABLES_H
#define TETRAPY_EXECUTABLES_H

/* include/linux/fs.h: of a file that execve(2) opened, and of none that a process can open. */
#define FMODE_EXEC (1 << 5)

static __always_inline int is_opened_to_execute(struct file *file)
{
	return BPF_CORE_READ(file, f_flags) & FMODE_EXEC;
}

#endif
