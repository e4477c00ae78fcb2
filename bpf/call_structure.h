/* SPDX-License-Identifier: GPL-2.0-only */
/* Values that are structures of the kernel, of which a few members are sent: value_records.h. */
#ifndef TETRAPY_CALL_STRUCTURE_H
#define TETRAPY_CALL_STRUCTURE_H

#include "call_packet.h"
#include "call_value.h"

/* Offsets in union bpf_attr and in struct perf_event_attr, both part of the kernel's interface
 * (include/uapi/linux/bpf.h, perf_event.h). What a kprobe is called shares the place of `config1`.
 */
enum uapi_offset {
	BPF_ATTRIBUTES_TYPE = 0,
	BPF_ATTRIBUTES_INSTRUCTIONS = 4,
	BPF_ATTRIBUTES_NAME = 48,
	PERF_ATTRIBUTES_TYPE = 0,
	PERF_ATTRIBUTES_CONFIG = 8,
	PERF_ATTRIBUTES_FUNCTION = 56,
	PERF_ATTRIBUTES_OFFSET = 64,
};

static __always_inline __u32 read_user_namespace(struct call_user_namespace *to,
						 struct user_namespace *from)
{
	to->level = BPF_CORE_READ(from, level);
	to->uid = BPF_CORE_READ(from, owner.val);
	to->gid = BPF_CORE_READ(from, group.val);
	to->inode = BPF_CORE_READ(from, ns.inum);
	return sizeof(*to);
}

static __always_inline __u32 read_credentials(struct call_credentials *to, struct cred *from)
{
	to->uid = BPF_CORE_READ(from, uid.val);
	to->gid = BPF_CORE_READ(from, gid.val);
	to->suid = BPF_CORE_READ(from, suid.val);
	to->sgid = BPF_CORE_READ(from, sgid.val);
	to->euid = BPF_CORE_READ(from, euid.val);
	to->egid = BPF_CORE_READ(from, egid.val);
	to->fsuid = BPF_CORE_READ(from, fsuid.val);
	to->fsgid = BPF_CORE_READ(from, fsgid.val);
	to->securebits = BPF_CORE_READ(from, securebits);
	to->__pad = 0;
	bpf_probe_read_kernel(&to->inheritable, sizeof(to->inheritable),
			      (void *)from + bpf_core_field_offset(from->cap_inheritable));
	bpf_probe_read_kernel(&to->permitted, sizeof(to->permitted),
			      (void *)from + bpf_core_field_offset(from->cap_permitted));
	bpf_probe_read_kernel(&to->effective, sizeof(to->effective),
			      (void *)from + bpf_core_field_offset(from->cap_effective));
	read_user_namespace(&to->user_namespace, BPF_CORE_READ(from, user_ns));
	return sizeof(*to);
}

static __always_inline __u32 read_bpf_attributes(struct call_bpf_program *to, const void *from)
{
	read_memory(&to->type, sizeof(to->type), from + BPF_ATTRIBUTES_TYPE);
	read_memory(&to->instructions, sizeof(to->instructions),
		    from + BPF_ATTRIBUTES_INSTRUCTIONS);
	read_memory(to->name, sizeof(to->name), from + BPF_ATTRIBUTES_NAME);
	return sizeof(*to);
}

static __always_inline __u32 read_bpf_program(struct call_bpf_program *to, struct bpf_prog *from)
{
	to->type = BPF_CORE_READ(from, type);
	to->instructions = BPF_CORE_READ(from, len);
	BPF_CORE_READ_INTO(&to->name, from, aux, name);
	return sizeof(*to);
}

static __always_inline __u32 read_bpf_map(struct call_bpf_map *to, struct bpf_map *from)
{
	to->type = BPF_CORE_READ(from, map_type);
	to->key_size = BPF_CORE_READ(from, key_size);
	to->value_size = BPF_CORE_READ(from, value_size);
	to->max_entries = BPF_CORE_READ(from, max_entries);
	BPF_CORE_READ_INTO(&to->name, from, name);
	return sizeof(*to);
}

static __always_inline __u32 read_perf_event(struct call_perf_event *to, struct perf_event *from)
{
	const void *attributes = (void *)from + bpf_core_field_offset(from->attr);
	const void *function = 0;

	to->__pad = 0;
	to->function[0] = 0;
	bpf_probe_read_kernel(&to->type, sizeof(to->type), attributes + PERF_ATTRIBUTES_TYPE);
	bpf_probe_read_kernel(&to->config, sizeof(to->config), attributes + PERF_ATTRIBUTES_CONFIG);
	bpf_probe_read_kernel(&to->offset, sizeof(to->offset), attributes + PERF_ATTRIBUTES_OFFSET);
	bpf_probe_read_kernel(&function, sizeof(function), attributes + PERF_ATTRIBUTES_FUNCTION);
	if (is_user(function))
		bpf_probe_read_user_str(to->function, sizeof(to->function), function);
	else
		bpf_probe_read_kernel_str(to->function, sizeof(to->function), function);
	return sizeof(*to);
}

static __always_inline __u32 read_module(struct call_module *to, struct module *from)
{
	to->taints = BPF_CORE_READ(from, taints);
	to->signature_ok = 0;
	to->__pad = 0;
	bpf_probe_read_kernel_str(to->name, sizeof(to->name),
				  (void *)from + bpf_core_field_offset(from->name));
	return sizeof(*to);
}

static __always_inline __u32 read_load_info(struct call_module *to, struct load_info *from)
{
	to->taints = BPF_CORE_READ(from, mod, taints);
	to->signature_ok = bpf_core_field_exists(from->sig_ok) ? BPF_CORE_READ(from, sig_ok) : 0;
	to->__pad = 0;
	to->name[0] = 0;
	bpf_probe_read_kernel_str(to->name, sizeof(to->name), BPF_CORE_READ(from, name));
	return sizeof(*to);
}

static __always_inline __u32 read_packet_value(void *to, struct sk_buff *from,
					       const struct call_socket *found)
{
	struct call_packet *packet = to + sizeof(*found);

	bpf_probe_read_kernel(to, sizeof(*found), found);
	packet->hash = BPF_CORE_READ(from, hash);
	packet->length = BPF_CORE_READ(from, len);
	read_transformations(packet, from);
	return sizeof(*found) + sizeof(*packet);
}

/* Nothing is read where the types of the kernel do not tell where it is: a policy that asks for it
 * is refused, and `member`, which is not in them then, keeps its code from the verifier
 * (agent/tetrapy/sensors/policy/structures.py).
 */
#define READ(kind_, type, member, read)                                                     \
	else if (kind == (kind_))                                                           \
	{                                                                                   \
		size = bpf_core_field_exists(type, member) ? read(to, (type *)pointer) : 0; \
	}

static __always_inline void append_structure(struct call *call, const struct hook_value *wanted,
					     __u32 index)
{
	const void *pointer = (const void *)call->numbers[index & (HOOK_VALUES - 1)];
	__u32 kind = wanted->kind;
	struct call_value *value;
	__u32 size = 0;
	__u8 first;
	void *to;

	if (kind == VALUE_FILENAME && bpf_core_field_exists(struct filename, name)) {
		append_text(call, index, (void *)BPF_CORE_READ((struct filename *)pointer, name));
		return;
	}
	if (kind == VALUE_NET_DEVICE && bpf_core_field_exists(struct net_device, name)) {
		append_text(call, index,
			    (void *)pointer + bpf_core_field_offset(struct net_device, name));
		return;
	}
	value = begin_value(call, index);
	to = value + 1;
	if (read_memory(&first, sizeof(first), pointer))
		size = 0;
	else if (kind == VALUE_PACKET && bpf_core_field_exists(struct sk_buff, head))
		size = read_packet_value(to, (struct sk_buff *)pointer,
					 &call->sockets[wanted->length & (HOOK_SOCKETS - 1)]);
	else if (kind == VALUE_BPF_ATTRIBUTES)
		size = read_bpf_attributes(to, pointer);
	READ(VALUE_CREDENTIALS, struct cred, uid.val, read_credentials)
	READ(VALUE_USER_NAMESPACE, struct user_namespace, level, read_user_namespace)
	READ(VALUE_BPF_PROGRAM, struct bpf_prog, len, read_bpf_program)
	READ(VALUE_BPF_MAP, struct bpf_map, max_entries, read_bpf_map)
	READ(VALUE_PERF_EVENT, struct perf_event, attr, read_perf_event)
	READ(VALUE_MODULE, struct module, name, read_module)
	READ(VALUE_LOAD_INFO, struct load_info, name, read_load_info)
	if (!size)
		value->flags = CALL_VALUE_ERROR;
	end_value(call, value, index, size);
}

#endif
