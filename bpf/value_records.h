/* SPDX-License-Identifier: GPL-2.0-only */
/* What is sent of a value that is a structure of the kernel: the bytes behind its struct
 * call_value.
 */
#ifndef TETRAPY_VALUE_RECORDS_H
#define TETRAPY_VALUE_RECORDS_H

#define RECORD_NAME 16 /* bytes of a name, as of BPF_OBJ_NAME_LEN and IFNAMSIZ */

/* Behind the struct call_socket of a packet. */
struct call_packet {
	__u32 hash;
	__u32 length;
	__u32 transformations; /* of IPsec */
	__u32 offloaded; /* of those */
};

struct call_user_namespace {
	__s32 level;
	__u32 uid; /* of who made it */
	__u32 gid;
	__u32 inode;
};

struct call_credentials {
	__u32 uid;
	__u32 gid;
	__u32 suid;
	__u32 sgid;
	__u32 euid;
	__u32 egid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 securebits;
	__u32 __pad;
	__u64 inheritable;
	__u64 permitted;
	__u64 effective;
	struct call_user_namespace user_namespace;
};

struct call_bpf_program {
	__u32 type;
	__u32 instructions;
	char name[RECORD_NAME];
};

struct call_bpf_map {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	char name[RECORD_NAME];
};

struct call_perf_event {
	__u64 config;
	__u64 offset; /* in the function */
	__u32 type;
	__u32 __pad;
	char function[128]; /* as long as a symbol's name may be: KSYM_NAME_LEN */
};

struct call_module {
	__u64 taints;
	__u32 signature_ok;
	__u32 __pad;
	char name[64];
};

#endif
