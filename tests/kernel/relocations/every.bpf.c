// SPDX-License-Identifier: GPL-2.0-only
/*
 * One program for each question that a relocation can ask, so that one that libbpf refuses does not
 * hide the others. None of them is ever loaded: what they became is compared.
 */
#include "kernel.h"
#include "net.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define ASK(name, expression)        \
	SEC("raw_tp")                \
	__u64 name(const void *base) \
	{                            \
		(void)base;          \
		return (expression); \
	}
#define OF(type) ((const struct type *)base)
#define INFO(type, field, what) __builtin_preserve_field_info(OF(type)->field, BPF_FIELD_##what)

/* All that can be asked about a number. */
#define FIELD(name, type, field)                            \
	ASK(offset_##name, INFO(type, field, BYTE_OFFSET)); \
	ASK(size_##name, INFO(type, field, BYTE_SIZE));     \
	ASK(exists_##name, INFO(type, field, EXISTS));      \
	ASK(signed_##name, INFO(type, field, SIGNED));      \
	ASK(left_##name, INFO(type, field, LSHIFT_U64));    \
	ASK(right_##name, INFO(type, field, RSHIFT_U64))
/* Arrays, structs and elements have no sign and no shifts. */
#define PLACE(name, type, field)                            \
	ASK(offset_##name, INFO(type, field, BYTE_OFFSET)); \
	ASK(size_##name, INFO(type, field, BYTE_SIZE));     \
	ASK(exists_##name, INFO(type, field, EXISTS))
#define LOAD(name, type, field) ASK(load_##name, (__u64)OF(type)->field)
#define ADDRESS(name, type, field) ASK(address_##name, (__u64) & OF(type)->field)
#define STORE(name, type, field, value)                 \
	SEC("raw_tp")                                   \
	int store_##name(const void *base)              \
	{                                               \
		((struct type *)base)->field = (value); \
		return 0;                               \
	}
#define TYPE(name, type)                                     \
	ASK(exists_type_##name, bpf_core_type_exists(type)); \
	ASK(size_type_##name, bpf_core_type_size(type))
#define VALUE(name, type, value)                                           \
	ASK(exists_value_##name, bpf_core_enum_value_exists(type, value)); \
	ASK(value_##name, bpf_core_enum_value(type, value))

/* Ordinary fields: integers of other sizes and signs, pointers, arrays, structs. */
PLACE(comm, task_struct, comm);
FIELD(flags, task_struct, flags);
FIELD(exit_code, task_struct, exit_code);
FIELD(prio, task_struct, prio);
PLACE(real_parent, task_struct, real_parent);
PLACE(se, task_struct, se);
FIELD(boottime, task_struct, start_boottime);
FIELD(f_pos, file, f_pos);
PLACE(read_iter, file_operations, read_iter);

/* Nested, through members without a name on either side, and in both. */
FIELD(load_sum, task_struct, se.avg.load_sum);
FIELD(weight, task_struct, se.load.weight);
FIELD(loginuid, task_struct, loginuid.val);
FIELD(usage, task_struct, usage.counter);
FIELD(arg_end, mm_struct, arg_end);
FIELD(daddr, sock_common, skc_daddr);
FIELD(skc_num, sock, __sk_common.skc_num);
FIELD(deep, inet_sock, sk.__sk_common.skc_rcv_saddr);
FIELD(compound, page, compound_head);
FIELD(refcount, page, _refcount.counter);
FIELD(exit_group, signal_struct, group_exit_code);
FIELD(threads, signal_struct, nr_threads);

/* Bitfields, some of which are ordinary fields on one of the sides. */
FIELD(in_execve, task_struct, in_execve);
FIELD(reset_on_fork, task_struct, sched_reset_on_fork);
FIELD(pid_bits, task_struct___bits, pid);
FIELD(execve_plain, task_struct___bits, in_execve);
FIELD(reset_wide, task_struct___bits, sched_reset_on_fork);
FIELD(sk_protocol, sock, sk_protocol);
FIELD(protocol_bits, sock___bits, sk_protocol);
FIELD(type_bits, sock___bits, sk_type);
FIELD(userlocks, sock, sk_userlocks);
FIELD(reuse, sock_common, skc_reuse);
FIELD(reuseport, inet_sock, sk.__sk_common.skc_reuseport);
FIELD(recverr, inet_sock, recverr);
FIELD(nonagle, tcp_sock, nonagle);
FIELD(pkt_type, sk_buff, pkt_type);
FIELD(cloned, sk_buff, cloned);
FIELD(ip_summed, sk_buff, ip_summed);
FIELD(jited, bpf_prog, jited);
FIELD(data_source, iov_iter, data_source);

/* Arrays: elements, flexible and bounded on either side, of more than one dimension. */
PLACE(numbers, pid, numbers);
FIELD(nr, pid, numbers[1].nr);
FIELD(nr_bounded, pid___bounded, numbers[3].nr);
FIELD(nr_one, pid___one, numbers[0].nr);
PLACE(number, pid, numbers[2]);
PLACE(letter, task_struct, comm[3]);
FIELD(rlim_cur, signal_struct, rlim[7].rlim_cur);
PLACE(rlim, signal_struct, rlim[15]);
PLACE(subsys, css_set, subsys[1]);
PLACE(subsys_far, css_set, subsys[29]);
PLACE(subsys_few, css_set___few, subsys[1]);
PLACE(folios, lru_gen_folio, folios[1][1][2].next);
PLACE(pages, lru_gen_folio, nr_pages[3][1][2]);
PLACE(page_row, lru_gen_folio, nr_pages[2][1]);
PLACE(min_seq, lru_gen_folio, min_seq[1]);

/* Flavours. */
FIELD(state, task_struct___old, state);
FIELD(new_state, task_struct___new, __state);
FIELD(real_start, task_struct___old, real_start_time);
FIELD(new_start, task_struct___new, start_boottime);
PLACE(kn_parent, kernfs_node, parent);
PLACE(kn_rcu, kernfs_node___rcu, __parent);
FIELD(kn_id, kernfs_node, id);
PLACE(kn_id_old, kernfs_node___old, id);
FIELD(kn_id_deep, kernfs_node___old, id.id);

/* What no kernel has, and what has another kind there. */
FIELD(missing, task_struct, no_such_field);
FIELD(missing_bit, task_struct, no_such_bit);
FIELD(missing_deep, task_struct, nowhere.nothing_of_this);
FIELD(mm, task_struct, mm);
PLACE(exit_state, task_struct, exit_state);
FIELD(nothing, no_such_struct, field);
FIELD(nothing_deep, no_such_struct, nested[2].inner);
FIELD(nothing_bits, no_such_struct, bits);
FIELD(prog_type, bpf_prog, type);
FIELD(prog_type_int, bpf_prog___int, type);
FIELD(map_type, bpf_map, map_type);
FIELD(map_type_wrong, bpf_map___wrong, map_type);
FIELD(map_type_nameless, bpf_map___nameless, map_type);
FIELD(addr_struct, nf_inet_addr___struct, ip);

/* Memory through a pointer: the width of the access follows the kernel, or is refused. */
LOAD(pid, task_struct, pid);
LOAD(flags, task_struct, flags);
LOAD(exit_code, task_struct, exit_code);
LOAD(prio, task_struct, prio);
LOAD(parent, task_struct, real_parent);
LOAD(stack, task_struct, stack);
LOAD(state, task_struct___old, state);
LOAD(state_new, task_struct___new, __state);
LOAD(family, sock_common, skc_family);
LOAD(bound, sock_common, skc_bound_dev_if);
LOAD(protocol, sock, sk_protocol);
LOAD(sport, inet_sock, inet_sport);
LOAD(letter, task_struct, comm[5]);
LOAD(rlim, signal_struct, rlim[3].rlim_max);
LOAD(map_type, bpf_map, map_type);
LOAD(head, sk_buff, head);
LOAD(hash, sk_buff, hash);
LOAD(missing, task_struct, no_such_field);
LOAD(page_flags, page, flags);
LOAD(source, iov_iter, data_source);
LOAD(cycle, task_struct, real_parent->real_parent->tgid);
LOAD(second, upid, nr);
LOAD(folio, lru_gen_folio, nr_pages[1][0][1]);
LOAD(union, nf_inet_addr___struct, ip);
ASK(load_third, (__u64)OF(upid)[2].nr);
ASK(load_counter, (__u64)((const atomic_t *)base)->counter);
ASK(load_wide_counter, (__u64)((const atomic64_t *)base)->counter);
ASK(load_all, (__u64)((const union nf_inet_addr *)base)->all[3]);
ADDRESS(comm, task_struct, comm);
ADDRESS(avg, task_struct, se.avg);
ADDRESS(number, pid, numbers[1]);
ADDRESS(missing, no_such_struct, nested[1]);
STORE(policy, task_struct, policy, 3);
STORE(policy_of, task_struct, policy, (__u64)base);
STORE(flags, task_struct, flags, 1);
STORE(exit_code, task_struct, exit_code, 1);
STORE(parent, task_struct, real_parent, 0);
STORE(missing, task_struct, no_such_field, 7);

/* Types. */
TYPE(task, struct task_struct);
TYPE(upid, struct upid);
TYPE(flavour, struct task_struct___old);
TYPE(kuid, kuid_t);
TYPE(atomic, atomic_t);
TYPE(pid, pid_t);
TYPE(sector, sector_t);
TYPE(spinlock, spinlock_t);
TYPE(work, work_func_t);
TYPE(work_wrong, work_func_t___wrong);
TYPE(address, union nf_inet_addr);
TYPE(address_struct, struct nf_inet_addr___struct);
TYPE(list, union list_head);
TYPE(state, enum perf_event_state);
TYPE(context, enum perf_callchain_context);
TYPE(context_narrow, enum perf_callchain_context___narrow);
TYPE(missing, struct no_such_struct);
TYPE(missing_enum, enum no_such_enum);
TYPE(missing_typedef, no_such_typedef);
TYPE(int_missing_here, struct css_set___few);
TYPE(old_id, union kernfs_node_id);

/* Values of enums. */
VALUE(hash, enum bpf_map_type, BPF_MAP_TYPE_HASH);
VALUE(ringbuf, enum bpf_map_type, BPF_MAP_TYPE_RINGBUF);
VALUE(ringbuf_flavour, enum bpf_map_type, BPF_MAP_TYPE_RINGBUF___flavoured);
VALUE(unspec, enum bpf_map_type, BPF_MAP_TYPE_UNSPEC___a___b);
VALUE(never, enum bpf_map_type, BPF_MAP_TYPE_NEVER_BORN);
VALUE(lsm, enum bpf_prog_type, BPF_PROG_TYPE_LSM);
VALUE(dead, enum perf_event_state, PERF_EVENT_STATE_DEAD);
VALUE(off, enum perf_event_state, PERF_EVENT_STATE_OFF);
VALUE(active, enum perf_event_state, PERF_EVENT_STATE_ACTIVE);
VALUE(hv, enum perf_callchain_context, PERF_CONTEXT_HV);
VALUE(user, enum perf_callchain_context, PERF_CONTEXT_USER);
VALUE(nowhere, enum perf_callchain_context, PERF_CONTEXT_NOWHERE);
VALUE(narrow, enum perf_callchain_context___narrow, PERF_CONTEXT_KERNEL);
VALUE(wakeup, enum scx_enq_flags, SCX_ENQ_WAKEUP);
VALUE(preempt, enum scx_enq_flags, SCX_ENQ_PREEMPT);
VALUE(last, enum scx_enq_flags, SCX_ENQ_LAST);
VALUE(no_such, enum no_such_enum, NO_SUCH_VALUE);
