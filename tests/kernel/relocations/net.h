/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types of the kernel's network as kernel.h declares others: most of their members are bitfields.
 */
#ifndef RELOCATIONS_NET_H
#define RELOCATIONS_NET_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common {
	unsigned long skc_family; /* two bytes */
	unsigned char skc_reuse : 1; /* four, of a byte */
	unsigned char skc_reuseport : 1;
	union {
		struct {
			__be32 skc_daddr, skc_rcv_saddr;
		};
	};
	__u16 skc_num;
	int skc_bound_dev_if;
};

struct sock {
	struct sock_common __sk_common;
	unsigned int sk_userlocks : 4;
	unsigned int sk_kern_sock : 1;
	/* Bitfields before 5.6, ordinary since. */
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_rcvbuf;
};

struct sock___bits {
	unsigned int sk_protocol : 8;
	unsigned int sk_type : 16;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
	__u8 recverr : 1;
	__u8 freebind : 1;
};

struct tcp_sock {
	__u8 nonagle : 4;
	__u8 repair : 1;
	__u32 snd_cwnd;
};

struct sk_buff {
	__u8 pkt_type : 3;
	__u8 cloned : 1;
	__u8 ip_summed : 2;
	__u16 protocol;
	unsigned int len;
	unsigned char *head, *data;
	struct sock *sk;
	__u32 hash;
};

union nf_inet_addr {
	__u32 ip;
	__u32 ip6[4];
	__u32 all[4];
};

struct nf_inet_addr___struct {
	__u32 ip;
};

#pragma clang attribute pop

#endif
