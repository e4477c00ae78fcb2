/* SPDX-License-Identifier: GPL-2.0-only */
/* Sockets and their addresses: what is reported of them, and what filters look at. */
#ifndef TETRAPY_CALL_SOCKET_H
#define TETRAPY_CALL_SOCKET_H

#include "call.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define UNIX_PATH 108 /* bytes of sockaddr_un.sun_path */

/* The members of sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h and in6.h). */
struct address_of_socket {
	__u16 family;
	__be16 port;
	__u8 ipv4[4]; /* of IPv6 its flow label */
	__u8 ipv6[16];
};

static __always_inline void read_sock(struct call_socket *found, struct sock *sock)
{
	struct sock_common *common;

	if (!bpf_core_field_exists(sock->__sk_common))
		return;
	common = (void *)sock + bpf_core_field_offset(sock->__sk_common);
	found->family = BPF_CORE_READ(common, skc_family);
	found->state = BPF_CORE_READ(common, skc_state);
	found->type = BPF_CORE_READ_BITFIELD_PROBED(sock, sk_type);
	found->protocol = BPF_CORE_READ_BITFIELD_PROBED(sock, sk_protocol);
	found->mark = BPF_CORE_READ(sock, sk_mark);
	found->priority = BPF_CORE_READ(sock, sk_priority);
	found->cookie = (__u64)sock;
	if (found->family != AF_INET && found->family != AF_INET6)
		return;
	found->source_port = BPF_CORE_READ(common, skc_num);
	found->destination_port = bpf_ntohs(BPF_CORE_READ(common, skc_dport));
	if (found->family == AF_INET) {
		*(__u32 *)found->source = BPF_CORE_READ(common, skc_rcv_saddr);
		*(__u32 *)found->destination = BPF_CORE_READ(common, skc_daddr);
		return;
	}
	if (!bpf_core_field_exists(common->skc_v6_daddr))
		return;
	BPF_CORE_READ_INTO(&found->source, common, skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&found->destination, common, skc_v6_daddr);
}

/* Addresses that programs give are reported as the source, as Tetragon does. */
static __always_inline void read_sockaddr(struct call_socket *found, const void *pointer)
{
	struct address_of_socket address = {};

	if (is_user(pointer))
		bpf_probe_read_user(&address, sizeof(address), pointer);
	else
		bpf_probe_read_kernel(&address, sizeof(address), pointer);
	found->family = address.family;
	if (address.family == AF_INET)
		*(__u32 *)found->source = *(__u32 *)address.ipv4;
	else if (address.family == AF_INET6)
		__builtin_memcpy(found->source, address.ipv6, sizeof(address.ipv6));
	else
		return;
	found->source_port = bpf_ntohs(address.port);
}

static __always_inline void make_address_key(struct address_key *key, __u32 family,
					     const __u8 *address)
{
	const __u64 *halves = (const __u64 *)address;
	const __u32 *words = (const __u32 *)address;

	key->version = 0;
	if (family == AF_INET) {
		key->version = 4;
		*(__u32 *)key->bytes = words[0];
	} else if (family == AF_INET6 && !halves[0] && words[2] == bpf_htonl(0xffff)) {
		key->version = 4;
		__builtin_memcpy(key->bytes, &address[12], 4);
	} else if (family == AF_INET6) {
		key->version = 6;
		__builtin_memcpy(key->bytes, address, 16);
	}
}

/* What filters look at. */
static __always_inline void note_socket(struct call *call, const struct call_socket *found,
					__u32 slot)
{
	__u64 *numbers = &call->numbers[NUMBER_SOCKETS + slot * SOCKET_NUMBERS];

	numbers[SOCKET_FAMILY] = found->family;
	numbers[SOCKET_TYPE] = found->type;
	numbers[SOCKET_PROTOCOL] = found->protocol;
	numbers[SOCKET_STATE] = found->state;
	numbers[SOCKET_SOURCE_PORT] = found->source_port;
	numbers[SOCKET_DESTINATION_PORT] = found->destination_port;
	make_address_key(&call->addresses[2 * slot], found->family, found->source);
	make_address_key(&call->addresses[2 * slot + 1], found->family, found->destination);
}

/* Reads one of the hook's sockets. Packets are looked into later: see call_packet.h. */
static __always_inline void read_socket(struct call *call, const struct hook_value *value,
					__u32 index, __u32 slot)
{
	struct call_socket *found = &call->sockets[slot];
	__u64 pointer = call->numbers[index];

	__builtin_memset(found, 0, sizeof(*found));
	if (value->kind == VALUE_SOCKET && bpf_core_field_exists(struct socket, sk))
		pointer = (__u64)BPF_CORE_READ((struct socket *)pointer, sk);
	if (value->kind == VALUE_SOCKADDR || value->kind == VALUE_SOCKADDR_UN)
		read_sockaddr(found, (void *)pointer);
	else if (value->kind != VALUE_PACKET)
		read_sock(found, (struct sock *)pointer);
	note_socket(call, found, slot);
}

static __always_inline void read_sockets(struct call *call, const struct hook *hook)
{
	__u32 slot;

	for (slot = 0; slot < HOOK_SOCKETS; slot++) {
		__u32 index = hook->head.socket_values[slot] & (HOOK_VALUES - 1);

		if (slot >= hook->head.sockets)
			return;
		read_socket(call, &hook->values[index], index, slot);
	}
}

#endif
