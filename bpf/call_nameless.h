/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are in no directory, and so have no path: what /proc/PID/fd shows of them. */
#ifndef TETRAPY_CALL_NAMELESS_H
#define TETRAPY_CALL_NAMELESS_H

#include "walk.h"

/* include/uapi/linux/magic.h */
#define PIPEFS_MAGIC 0x50495045
#define SOCKFS_MAGIC 0x534f434b
#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC 0x50494446
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6

#define MAX_DIGITS 10 /* of get_next_ino(), which numbers pipes and sockets in 32 bits */

static __always_inline void put_text(struct path_walk *walk, const char *text, int length)
{
	/* Read anew: a compiler that knows where it is leaves out masks that the verifier needs. */
	__u64 offset = *(volatile __u64 *)&walk->offset - length;
	int i;

#pragma unroll
	for (i = 0; i < length; i++)
		walk->name[(offset + i) & PATH_LIMIT] = text[i];
	walk->offset = offset & PATH_LIMIT;
}

#define PUT_TEXT(walk, text) put_text(walk, text, sizeof(text) - 1)

static __always_inline void put_number(struct path_walk *walk, __u64 number)
{
	__u64 offset = *(volatile __u64 *)&walk->offset;
	int i;

	for (i = 0; i < MAX_DIGITS; i++) {
		offset--;
		walk->name[offset & PATH_LIMIT] = '0' + number % 10;
		number /= 10;
		if (!number)
			break;
	}
	walk->offset = offset & PATH_LIMIT;
}

/* `KIND:[NUMBER]`, or a name of the kernel's. Returns what flags the value gets then, -1 where the
 * file is none of these, or the types of the kernel do not tell.
 */
static __always_inline int name_nameless(struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct entry_names entry;
	struct inode *inode;
	__u64 offset;
	__u32 magic;

	if (!bpf_core_field_exists(struct super_block, s_magic))
		return -1;
	inode = BPF_CORE_READ(dentry, d_inode);
	magic = BPF_CORE_READ(inode, i_sb, s_magic);
	if (magic == PIPEFS_MAGIC || magic == SOCKFS_MAGIC) {
		PUT_TEXT(walk, "]");
		put_number(walk, BPF_CORE_READ(inode, i_ino));
		if (magic == PIPEFS_MAGIC)
			PUT_TEXT(walk, "pipe:[");
		else
			PUT_TEXT(walk, "socket:[");
		return 0;
	}
	if (magic == PID_FS_MAGIC) {
		PUT_TEXT(walk, "anon_inode:[pidfd]");
		return 0;
	}
	if (magic != ANON_INODE_FS_MAGIC && magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC)
		return -1;
	read_entry_names(&entry, dentry);
	if (put_name(walk, &entry, PATH_LIMIT))
		return -1;
	offset = *(volatile __u64 *)&walk->offset;
	if (magic != ANON_INODE_FS_MAGIC)
		/* Of memory that was asked for by name, as memfd_create(2) does; a file that was
		 * opened by a handle has no name, but a slash.
		 */
		return walk->name[(offset + 1) & PATH_LIMIT] == '/' ? -1 : CALL_VALUE_DELETED;
	walk->offset = offset + 1; /* without the slash */
	PUT_TEXT(walk, "anon_inode:");
	return 0;
}

#endif
