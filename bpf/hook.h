/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space says about a hook of a tracing policy: which values of a call are read, and which
 * filters decide whether the call is reported.
 *
 * The programs are loaded once and interpret these tables, so that a policy costs no verification:
 * loading one makes a map of one struct hook, puts it into a slot of `hooks`, and attaches a
 * program with the slot's number.
 */
#ifndef TETRAPY_HOOK_H
#define TETRAPY_HOOK_H

#include "call_numbers.h"
#include "late_map.h"

enum hook_limit {
	HOOK_SLOTS = 1024, /* hooks of all policies that differ in their tables */
	HOOK_BLOCK = 16, /* neighbouring ones, whose counters are in one map */
	HOOK_SETS = 4096, /* sets of all policies */
	HOOK_VALUES = 8, /* of a call: five arguments and data, what is returned */
	HOOK_FILTERS = 64,
	SIMPLE_VALUES = 5, /* of a simple hook: see call.h */
	SIMPLE_FILTERS = 8, /* ... of numbers */
	HOOK_TEXT_FILTERS = 24, /* that compare texts */
	/* Of these as many as the verifier walks: a program that has more to do calls itself. */
	VALUES_AT_ONCE = 4,
	TEXTS_AT_ONCE = 6,
	HOOK_SELECTORS = 5,
	HOOK_REGISTERS = 8, /* of the process that a selector may change: see call_registers.h */
	HOOK_SIGNALS = 3, /* of a selector */
	HOOK_RANGES = 4, /* of a filter; more go into a set */
	HOOK_RETURN_FILTERS = 8,
	HOOK_STEPS = 10, /* pointers on the way from a value to a member that a path names */
	HOOK_OPERATIONS = 48,
	HOOK_FILE_TYPES = 2, /* values that are files whose type is asked for */
	BULK_BYTES = 327360, /* the most of a value that goes into several records */
	BULK_STEP_BYTES = 32768, /* of it in one program */
	HOOK_SOCKETS = 2, /* values that are sockets or addresses of them */
	RETURNING_CALLS = 2048, /* that have been reported and have not returned yet */
	OWNER_SHARES = 256, /* of a map that all fill; owners who have the same one share it */
	RATE_CALLS = 2048, /* calls with different values whose rate is limited */
	ENFORCEMENTS = 4096, /* threads that an enforcer awaits */
	TRACKED_SETS = 4096, /* of TRACKED_WAYS sockets each */
	TRACKED_WAYS = 8,
	RATE_BYTES = 192, /* of the values, in which such calls may differ */
	LINEAGE_PROCESSES = 32768,
	IMAGE_NAMESPACES = 10,
	IMAGE_CAPABILITIES = 3,
	USERS = 2048, /* of busy policies, whose calls are added up */
	SILENT_USERS = 1024, /* of which policies do not tell */
	USE_RECORD = 1024, /* bytes that the agent reads in the time that any record takes it */
	WORKLOAD_CGROUPS = 16384, /* of which user space says which policies they are for */
	MARK_UNKNOWN = 63, /* the bit of a binary that is not known: filters count it as theirs */
	SET_MEMBERS = 65536, /* the most of one set; Linux before 5.10 wants it of all sets alike */
	SET_DATA = 256, /* bytes of a set's key, the most that a trie of the kernel has */
};

#include "hook_action.h"

/* The number of a link: slot of `hooks` in the high half; in the low one what the record says. */
#define COOKIE_SYSCALL (1ULL << 31) /* the function gets a pointer to its caller's registers */
#define COOKIE_HOOK (COOKIE_SYSCALL - 1)

/* Where a value comes from. */
enum value_source {
	SOURCE_ARGUMENT = 0, /* `place` is the number of a function's argument */
	SOURCE_RETURN = 1,
	SOURCE_FIELD = 2, /* `place` is an offset in a tracepoint's record, `size` its bytes */
	SOURCE_TASK = 3, /* the current struct task_struct * */
	SOURCE_REGISTERS = 4, /* `place` is an offset in the saved registers */
	/* Of a static probe; the words are steps[] of the value. */
	SOURCE_CONSTANT = 5, /* both halves of it */
	/* What is in the process's memory: `place` is that of the register with an address; `last`
	 * of the value's path are its bytes. The words: both halves of what is added, one more than
	 * the place of a register that is added too (0: none), and what that is multiplied by.
	 */
	SOURCE_MEMORY = 6,
};

/* How a value is read from there, and what is sent of it. */
enum value_kind {
	VALUE_NONE = 0,
	VALUE_NUMBER = 1, /* `size` bytes, sign-extended with VALUE_SIGNED; eight are sent */
	VALUE_STRING = 2, /* what a pointer points to, ended by a zero byte */
	VALUE_BYTES = 3, /* as many as the argument `length` says, at most `most` */
	VALUE_FILE = 4, /* the pointer is a struct file * ...*/
	VALUE_PATH = 5,
	VALUE_DENTRY = 6,
	VALUE_BINPRM = 7,
	VALUE_FD = 8, /* a descriptor of the current process */
	VALUE_DATA_LOC = 9, /* a tracepoint's dynamic array: offset and size of a string */
	VALUE_BINARY = 10, /* the executable of the current process */
	VALUE_POINTED = 11, /* a number of `size` bytes that a pointer points to */
	VALUE_SOCK = 12, /* the pointer is a struct sock * ... */
	VALUE_SOCKET = 13, /* ... struct socket * */
	VALUE_SOCKADDR = 14, /* of IPv4 or IPv6, copied by the kernel already */
	VALUE_SOCKADDR_UN = 15, /* the same of a unix socket: a text */
	VALUE_KIOCB = 16, /* the pointer is a struct kiocb *, of a file */
	/* As VALUE_BINARY. Where it is not the host's, or could have been made to look so, filters
	 * that are negated hold.
	 */
	VALUE_HOSTS_BINARY = 17,
	/* Read by programs that are loaded for those who ask for them. */
	VALUE_STRUCTURES = 32, /* the first of STEP_STRUCTURE; the pointer is a ... */
	VALUE_FILENAME = 32, /* ... struct filename *: a text */
	VALUE_NET_DEVICE = 33, /* ... struct net_device *: its name */
	VALUE_PACKET = 34, /* ... struct sk_buff *, which STEP_PACKET has looked into */
	VALUE_CREDENTIALS = 35, /* ... struct cred * */
	VALUE_USER_NAMESPACE = 36, /* ... struct user_namespace * */
	VALUE_BPF_ATTRIBUTES = 37, /* ... union bpf_attr * of a program to be loaded */
	VALUE_BPF_PROGRAM = 38, /* ... struct bpf_prog * */
	VALUE_BPF_MAP = 39, /* ... struct bpf_map * */
	VALUE_PERF_EVENT = 40, /* ... struct perf_event * */
	VALUE_MODULE = 41, /* ... struct module * */
	VALUE_LOAD_INFO = 42, /* ... struct load_info *, of a module */
	VALUE_VECTORS = 48, /* the first of STEP_VECTOR */
	VALUE_IOVEC = 48, /* the pointer is a struct iovec *, of as many as `length` says */
	VALUE_IOV_ITER = 49, /* ... struct iov_iter * */
};

enum value_flag {
	VALUE_SIGNED = 1,
	VALUE_FILTERED = 2, /* a filter asks for it, so that it is read first */
	VALUE_AT_RETURN = 4, /* it is read when the function returns */
	VALUE_RESOLVED = 8, /* the source is where the hook's path of the same number begins */
	VALUE_OF_USER = 16, /* a pointer that a process chose: never followed into the kernel */
};

struct hook_value {
	__u8 kind; /* enum value_kind */
	__u8 source; /* enum value_source */
	__u8 flags; /* enum value_flag */
	__u8 size;
	__u16 place;
	/* One more than the number of the argument that holds the size; 0: none. Of a socket its
	 * number among those of the hook.
	 */
	__u16 length;
	__u32 most; /* bytes */
};

/* The way from a pointer to a member: each step adds its offset and reads the pointer there. */
struct hook_path {
	__u32 count; /* of HOOK_STEPS in steps[] of the hook */
	__u32 last; /* added in the end, where nothing is read */
};

/* How a number is made of others. Those of 32 bits are kept extended to 64, by their sign if they
 * have one.
 */
enum operation {
	OPERATION_COPY = 0, /* of the right operand */
	OPERATION_ADD = 1,
	OPERATION_SUBTRACT = 2,
	OPERATION_AND = 3,
	OPERATION_OR = 4,
	OPERATION_XOR = 5,
	OPERATION_AND_NOT = 6,
	OPERATION_EQUAL = 7, /* 1 or 0, as the next two */
	OPERATION_LESS = 8, /* with a sign */
	OPERATION_BELOW = 9, /* without */
	OPERATION_INT32 = 10, /* the lower half of the right operand, extended by its sign */
	OPERATIONS = 16, /* a power of two */
};

struct hook_operation {
	__u8 operation; /* enum operation */
	__u8 to; /* enum call_number, as left and right */
	__u8 left;
	__u8 right;
	__u32 __pad;
	__u64 constant_mask; /* all bits: the right operand is `constant`; else both are 0 */
	__u64 constant;
};

/* How a filter compares. */
enum comparison {
	COMPARE_RANGES = 0, /* within one of the ranges, both ends included */
	COMPARE_MASK = 1, /* a bit of low0 is set */
	COMPARE_SET = 2, /* a member of the set is its beginning */
	COMPARE_ADDRESS = 3, /* the same of a socket's address: `number` is twice the socket's, plus
			      * one for the destination
			      */
	/* By STEP_SEARCH: see call_search.h. */
	COMPARE_INSIDE = 4, /* a member of the set is somewhere in the text */
	COMPARE_WHOLE = 5, /* the bytes are those of a member, however many */
};

struct hook_filter {
	__u8 comparison; /* enum comparison */
	__u8 number; /* enum call_number; of a text the value that it is of */
	__u8 negated; /* 1: holds where the comparison does not */
	__u8 joined; /* 1: the next filter holds too where this one does, and this fails nothing */
	__u32 selectors; /* bits of the selectors that fail where it does not hold */
	__u32 set; /* slot in `sets` */
	__u16 end; /* bytes of a text's end that are looked up in the set; 0: its beginning */
	/* Of a set of texts: place of the last byte of the longest member, and of the byte that is
	 * looked at first: see low0.
	 */
	__u8 last;
	__u8 telling;
	__u64 flip; /* that the operand is xor-ed with: the sign bit, where it is signed */
	/* A range that is not used is empty: its low end is above the high one. Of a set of texts a
	 * bit for each byte that a member has at `telling`, of COMPARE_INSIDE for each that one
	 * begins with, 64 in each of low0 to low3; high0: what is put to each byte that is an
	 * upper-case letter before it is looked up.
	 */
	__u64 low0, high0, low1, high1, low2, high2, low3, high3;
};

/* What travels as values behind those of the hook: stacks, which are addresses, the innermost
 * first, and the hash of a file; `detail` is its enum hash_algo (include/uapi/linux/hash_info.h).
 */
enum stack_index {
	STACK_OF_KERNEL = HOOK_VALUES,
	STACK_OF_USER = HOOK_VALUES + 1,
	HASH_OF_FILE = HOOK_VALUES + 2,
};

struct hook_head {
	__u32 values_count;
	__u32 filters_count; /* of all that a call is held to when it begins */
	__u32 plain_filters; /* the first ones, which need nothing but numbers */
	__u32 return_filters; /* behind those: of what the function returns, a number ... */
	__u32 return_texts_end; /* ... and behind those a text: number of the last one, plus one */
	__u32 searches_end; /* the same of those behind, of texts that STEP_SEARCH looks into ... */
	__u32 return_searches_end; /* ... and of those that are returned */
	__u32 reads_texts; /* 1: values are read for filters when the call begins; 2: at its end */
	__u32 return_operations; /* 1: operations make numbers of what is returned */
	__u32 spare_steps; /* that walks and searches may take beyond the first of each */
	__u32 selectors; /* bits of those that there are */
	__u32 context; /* bits of the numbers of the process that filters look at */
	__u32 reports_return; /* 1: a second record is made when the call returns */
	__u32 file_types; /* how many values are files whose type is asked for */
	__u8 file_values[8]; /* which */
	__u32 operations; /* how many of operations[] there are */
	__u32 sockets; /* how many values are sockets, addresses, or packets */
	__u8 socket_values[8]; /* which, HOOK_SOCKETS at most */
	__u32 packets; /* 1: one of them is a packet */
	__u32 bulk; /* one more than the number of the value that may be larger than a record */
	/* One more than the number of the first value that filters of texts ask for, where that is
	 * a path; and of the last one of any kind.
	 */
	__u32 first_path;
	__u32 filtered_end;
	__u32 acts; /* enum acts_flag */
	__u32 policy; /* its number; an agent gives none twice */
	__u32 workloads; /* 1: filters look at NUMBER_WORKLOADS */
	__u32 matches_at_return; /* 1: filters look at what is returned, too */
};

struct hook {
	struct hook_head head;
	struct hook_value values[HOOK_VALUES];
	struct hook_path paths[HOOK_VALUES];
	__u32 steps[HOOK_VALUES * HOOK_STEPS];
	struct hook_action actions[HOOK_SELECTORS + 3];
	struct hook_operation operations[HOOK_OPERATIONS];
	struct hook_filter filters[HOOK_FILTERS];
};

/* One hook, and the template of what is in `hooks`. Such templates tell sizes and no types: kernels
 * before 6.2 take a map with types for another kind than one without.
 */
struct hook_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct hook));
};

/* What is counted in slots of `hooks`, whichever table is in them: each CPU counts for itself. */
struct counts_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOK_BLOCK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct hook_counts));
};

struct set_key {
	__u32 bits; /* of data[] that count */
	__u8 data[SET_DATA];
};

struct set_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, SET_MEMBERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct set_key));
	__uint(value_size, sizeof(__u64)); /* marks, where lineage.h asks; else any */
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HOOK_SLOTS);
	__type(key, __u32);
	__array(values, struct hook_map);
} hooks SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HOOK_SLOTS / HOOK_BLOCK);
	__type(key, __u32);
	__array(values, struct counts_map);
} hook_counts SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HOOK_SETS);
	__type(key, __u32);
	__array(values, struct set_map);
} sets SEC(".maps");

/* Calls that count as the same one. */
struct rate_key {
	__u32 hook;
	__u32 selector;
	__u64 scope; /* a thread, a process, or 0 */
	__u64 start; /* ... and when the process began: its number is given again */
	__u8 values[RATE_BYTES];
};

struct rate_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RATE_CALLS);
	__uint(key_size, sizeof(struct rate_key));
	__uint(value_size, sizeof(__u64)); /* when the last one was reported, ns */
};

LATE_MAP(rates, rate_map);

#endif
