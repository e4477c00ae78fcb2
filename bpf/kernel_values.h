/* SPDX-License-Identifier: GPL-2.0-only */
/* More members of kernel structures, as kernel.h has them: those that types of arguments of tracing
 * policies read.
 */
#ifndef TETRAPY_KERNEL_VALUES_H
#define TETRAPY_KERNEL_VALUES_H

#include "kernel.h"

enum bpf_prog_type {
	BPF_PROG_TYPE_UNSPEC = 0,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kiocb {
	struct file *ki_filp;
};

struct filename {
	const char *name;
};

struct net_device {
	char name[16];
};

struct bpf_prog_aux {
	char name[16];
};

struct bpf_prog {
	__u32 len;
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
};

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	char name[16];
};

struct perf_event_attr {
	__u32 type;
};

struct perf_event {
	struct perf_event_attr attr;
};

struct module {
	char name[56];
	unsigned long taints;
};

struct load_info {
	const char *name;
	struct module *mod;
	_Bool sig_ok;
};

enum skb_ext_id {
	SKB_EXT_SEC_PATH = 1, /* any value: the kernel's is filled in */
};

struct sec_path {
	int len;
	int olen;
};

struct skb_ext {
	__u8 offset[1];
};

struct sk_buff {
	__u32 len;
	__u32 hash;
	__u32 priority;
	__u32 mark;
	__u16 network_header;
	__u8 active_extensions;
	unsigned char *head;
	struct skb_ext *extensions;
};

enum iter_type { /* any values: the kernel's are filled in */
		 ITER_IOVEC = 1,
		 ITER_KVEC = 2,
		 ITER_UBUF = 3,
};

struct iovec;

struct iov_iter {
	__u8 iter_type;
	unsigned long iov_offset;
	unsigned long count;
	const struct iovec *__iov;
	void *ubuf;
	unsigned long nr_segs;
};

/* de4f5fed3f23 ("iov_iter: add iter_iovec() helper"), in 6.4, renamed it. */
struct iov_iter___v63 {
	const struct iovec *iov;
};

/* 8cd54c1c8480 ("iov_iter: separate direction from flavour"), in 5.14: before, its lowest bit says
 * which way.
 */
struct iov_iter___v513 {
	unsigned int type;
};

#pragma clang attribute pop

#endif
