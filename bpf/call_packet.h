/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets: addresses, ports and protocol, by the headers in front of what they carry. */
#ifndef TETRAPY_CALL_PACKET_H
#define TETRAPY_CALL_PACKET_H

#include "call_socket.h"
#include "kernel_values.h"

/* Extension headers of IPv6; a packet has few. */
#define PACKET_EXTENSIONS 8

/* Numbers of headers: include/uapi/linux/in.h and in6.h. */
enum packet_protocol {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_DESTINATION = 60,
};

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_AUTHENTICATION ||
	       protocol == PROTOCOL_DESTINATION;
}

/* Goes over the extensions of IPv6. Returns where what they precede begins; 0 where that has no
 * ports, since it is a later part of a packet that was cut.
 */
static __always_inline const __u8 *skip_extensions(struct call_socket *found, const __u8 *at,
						   __u8 protocol)
{
	__u8 header[8];
	int i;

	for (i = 0; i < PACKET_EXTENSIONS; i++) {
		if (!is_extension(protocol))
			break;
		if (bpf_probe_read_kernel(header, sizeof(header), at)) {
			at = 0;
			break;
		}
		if (protocol == PROTOCOL_FRAGMENT) {
			at += 8;
			if (header[2] | (header[3] & 0xf8)) {
				protocol = header[0];
				at = 0;
				break;
			}
		} else if (protocol == PROTOCOL_AUTHENTICATION) {
			at += 4 * (header[1] + 2);
		} else {
			at += 8 * (header[1] + 1);
		}
		protocol = header[0];
	}
	found->protocol = protocol;
	return at;
}

/* By its own header: where the kernel says that the next one begins is not known yet of a packet
 * that comes in.
 */
static __always_inline void read_packet(struct call_socket *found, struct sk_buff *packet)
{
	const __u8 *at = BPF_CORE_READ(packet, head) + BPF_CORE_READ(packet, network_header);
	__u8 header[40] = {};
	__be16 ports[2] = {};

	found->mark = BPF_CORE_READ(packet, mark);
	found->priority = BPF_CORE_READ(packet, priority);
	if (bpf_probe_read_kernel(header, sizeof(header), at))
		return;
	if (header[0] >> 4 == 4) {
		found->family = AF_INET;
		found->protocol = header[9];
		__builtin_memcpy(found->source, &header[12], 4);
		__builtin_memcpy(found->destination, &header[16], 4);
		at += 4 * (header[0] & 15);
		if ((header[6] & 0x1f) | header[7]) /* a later part of a packet that was cut */
			at = 0;
	} else if (header[0] >> 4 == 6) {
		found->family = AF_INET6;
		__builtin_memcpy(found->source, &header[8], 16);
		__builtin_memcpy(found->destination, &header[24], 16);
		at = skip_extensions(found, at + sizeof(header), header[6]);
	} else {
		return;
	}
	if (!at || (found->protocol != PROTOCOL_TCP && found->protocol != PROTOCOL_UDP))
		return;
	if (bpf_probe_read_kernel(ports, sizeof(ports), at))
		return;
	found->source_port = bpf_ntohs(ports[0]);
	found->destination_port = bpf_ntohs(ports[1]);
}

/* Reads the packets among the hook's sockets. */
static __always_inline void read_packets(struct call *call, const struct hook *hook)
{
	__u32 slot;

	for (slot = 0; slot < HOOK_SOCKETS; slot++) {
		__u32 index = hook->head.socket_values[slot] & (HOOK_VALUES - 1);

		if (slot >= hook->head.sockets)
			return;
		if (hook->values[index].kind != VALUE_PACKET)
			continue;
		if (!bpf_core_field_exists(struct sk_buff, head))
			return;
		read_packet(&call->sockets[slot], (struct sk_buff *)call->numbers[index]);
		note_socket(call, &call->sockets[slot], slot);
	}
}

/* Security associations that a packet went through. */
static __always_inline void read_transformations(struct call_packet *found, struct sk_buff *packet)
{
	struct skb_ext *extensions;
	struct sec_path *path;
	__u32 number;
	__u8 offset = 0;

	found->transformations = found->offloaded = 0;
	if (!bpf_core_field_exists(packet->active_extensions) ||
	    !bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH) ||
	    !bpf_core_field_exists(struct skb_ext, offset) ||
	    !bpf_core_field_exists(struct sec_path, olen))
		return;
	number = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH);
	if (!(BPF_CORE_READ(packet, active_extensions) >> (number & 7) & 1))
		return;
	extensions = BPF_CORE_READ(packet, extensions);
	bpf_probe_read_kernel(&offset, 1,
			      (void *)extensions + bpf_core_field_offset(extensions->offset) +
				      number);
	path = (void *)extensions + 8 * offset; /* in units of 8 bytes: SKB_EXT_ALIGN_VALUE */
	found->transformations = BPF_CORE_READ(path, len);
	found->offloaded = BPF_CORE_READ(path, olen);
}

#endif
