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

#ifndef SHARED
#define SHARED extern
#endif

enum hook_limit {
	HOOK_SLOTS = 1024, /* hooks of all policies that differ in their tables */
	HOOK_SETS = 4096, /* sets of all policies */
	HOOK_VALUES = 8, /* of a call: five arguments and data, what is returned */
	HOOK_FILTERS = 64,
	HOOK_TEXT_FILTERS = 24, /* that compare texts; the verifier walks each */
	HOOK_SELECTORS = 5,
	HOOK_RANGES = 4, /* of a filter; more go into a set */
	HOOK_RETURN_FILTERS = 8,
	HOOK_STEPS = 10, /* pointers on the way from a value to a member that a path names */
	HOOK_SOCKETS = 2, /* values that are sockets or addresses of them */
	RETURNING_CALLS = 2048, /* that have been reported and have not returned yet */
	RATE_CALLS = 2048, /* calls with different values whose rate is limited */
	RATE_BYTES = 192, /* of the values, in which such calls may differ */
	SET_MEMBERS = 65536, /* the most of one set; Linux before 5.10 wants it of all sets alike */
	SET_DATA = 256, /* bytes of a set's key, the most that a trie of the kernel has */
};

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
	VALUE_KINDS = 16,
};

enum value_flag {
	VALUE_SIGNED = 1,
	VALUE_FILTERED = 2, /* a filter asks for it, so that it is read first */
	VALUE_AT_RETURN = 4, /* it is read when the function returns */
	VALUE_RESOLVED = 8, /* the source is where the hook's path of the same number begins */
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

/* The numbers of a call that filters look at: what was read of each value, and these of the
 * process, each read only where `context` of the hook has its bit.
 */
enum call_number {
	NUMBER_VALUES = 0, /* the first of HOOK_VALUES */
	NUMBER_PID = 8, /* of the process, in the initial pid namespace */
	NUMBER_NAMESPACE_PID = 9, /* in its own */
	NUMBER_UTS_NAMESPACE = 10, /* inode number, as of all namespaces */
	NUMBER_IPC_NAMESPACE = 11,
	NUMBER_MNT_NAMESPACE = 12,
	NUMBER_PID_NAMESPACE = 13,
	NUMBER_PID_FOR_CHILDREN_NAMESPACE = 14,
	NUMBER_NET_NAMESPACE = 15,
	NUMBER_TIME_NAMESPACE = 16,
	NUMBER_TIME_FOR_CHILDREN_NAMESPACE = 17,
	NUMBER_CGROUP_NAMESPACE = 18,
	NUMBER_USER_NAMESPACE = 19,
	NUMBER_PERMITTED = 20, /* capabilities, one bit each */
	NUMBER_EFFECTIVE = 21,
	NUMBER_INHERITABLE = 22,
	NUMBER_SOCKETS = 32, /* SOCKET_NUMBERS of each, by enum socket_number */
	CALL_NUMBERS = 64, /* a power of two */
};

enum socket_number {
	SOCKET_FAMILY = 0,
	SOCKET_TYPE = 1,
	SOCKET_PROTOCOL = 2,
	SOCKET_STATE = 3,
	SOCKET_SOURCE_PORT = 4,
	SOCKET_DESTINATION_PORT = 5,
	SOCKET_NUMBERS = 8,
};

/* How a filter compares. */
enum comparison {
	COMPARE_RANGES = 0, /* within one of the ranges, both ends included */
	COMPARE_MASK = 1, /* a bit of low0 is set */
	COMPARE_SET = 2, /* a member of the set is its beginning */
	COMPARE_ADDRESS = 3, /* the same of a socket's address: `number` is twice the socket's, plus
			      * one for the destination
			      */
};

struct hook_filter {
	__u8 comparison; /* enum comparison */
	__u8 number; /* enum call_number; of a text the value that it is of */
	__u8 negated; /* 1: holds where the comparison does not */
	__u8 joined; /* 1: the next filter holds too where this one does, and this fails nothing */
	__u32 selectors; /* bits of the selectors that fail where it does not hold */
	__u32 set; /* slot in `sets` */
	__u32 end; /* bytes of a text's end that are looked up in the set; 0: its beginning */
	__u64 flip; /* that the operand is xor-ed with: the sign bit, where it is signed */
	/* A range that is not used is empty: its low end is above the high one. */
	__u64 low0, high0, low1, high1, low2, high2, low3, high3;
};

/* What is done with a call that a selector matches. */
struct hook_action {
	__u64 interval; /* ns in which at most one call with the same values is reported; 0: all */
	__u32 flags; /* enum action_flag */
	__u32 __pad;
};

enum action_flag {
	ACTION_POST = 1, /* the call is reported */
	ACTION_SCOPE_THREAD = 0, /* of the interval */
	ACTION_SCOPE_PROCESS = 8,
	ACTION_SCOPE_GLOBAL = 16,
};

struct hook_head {
	__u32 values_count;
	__u32 filters_count; /* of all that a call is held to when it begins */
	__u32 plain_filters; /* the first ones, which need nothing but numbers */
	__u32 return_filters; /* behind those: of what the function returns, a number */
	__u32 selectors; /* bits of those that there are */
	__u32 context; /* bits of the numbers of the process that filters look at */
	__u32 reports_return; /* 1: a second record is made when the call returns */
	__u32 sockets; /* how many values are sockets or addresses */
	__u8 socket_values[8]; /* which, HOOK_SOCKETS at most */
};

struct hook {
	struct hook_head head;
	struct hook_value values[HOOK_VALUES];
	struct hook_path paths[HOOK_VALUES];
	__u32 steps[HOOK_VALUES * HOOK_STEPS];
	struct hook_action actions[HOOK_SELECTORS + 3];
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

struct set_key {
	__u32 bits; /* of data[] that count */
	__u8 data[SET_DATA];
};

struct set_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, SET_MEMBERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct set_key));
	__uint(value_size, sizeof(__u32));
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HOOK_SLOTS);
	__type(key, __u32);
	__array(values, struct hook_map);
} hooks SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HOOK_SETS);
	__type(key, __u32);
	__array(values, struct set_map);
} sets SEC(".maps");

/* What is kept of a call until it returns. */
struct returning_key {
	__u32 tid;
	__u32 hook;
};

struct returning {
	__u64 arguments[8];
	__u32 selectors;
	__u32 __pad;
};

/* Forgets the oldest: some functions never return. */
struct returning_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RETURNING_CALLS);
	__uint(key_size, sizeof(struct returning_key));
	__uint(value_size, sizeof(struct returning));
};

/* Calls that count as the same one. */
struct rate_key {
	__u32 hook;
	__u32 selector;
	__u64 scope; /* a thread, a process, or 0 */
	__u8 values[RATE_BYTES];
};

struct rate_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RATE_CALLS);
	__uint(key_size, sizeof(struct rate_key));
	__uint(value_size, sizeof(__u64)); /* when the last one was reported, ns */
};

/* One of each, made when the first policy needs it. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct returning_map);
} returning SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct rate_map);
} rates SEC(".maps");

#endif
