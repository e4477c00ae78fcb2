/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel types as a careful and a careless author of a program would declare them, for every kind
 * of CO-RE relocation. Order, neighbours and sizes are on purpose not the kernel's.
 */
#ifndef RELOCATIONS_KERNEL_H
#define RELOCATIONS_KERNEL_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 7, /* 1 in every kernel */
	BPF_MAP_TYPE_RINGBUF = 8,
	BPF_MAP_TYPE_NEVER_BORN = 9,
	BPF_MAP_TYPE_RINGBUF___flavoured = 10,
	BPF_MAP_TYPE_UNSPEC___a___b = 11,
};

enum bpf_prog_type {
	BPF_PROG_TYPE_LSM = 1,
};

/* Signed in the kernel; encoders before BTF had a sign for enums say unsigned. */
enum perf_event_state {
	PERF_EVENT_STATE_DEAD = 5,
	PERF_EVENT_STATE_OFF = 6,
	PERF_EVENT_STATE_ACTIVE = 7,
};

/* Eight bytes in the kernel: an enum64, or an enum with half of the value. */
enum perf_callchain_context {
	PERF_CONTEXT_HV = 1ULL << 40,
	PERF_CONTEXT_USER = 1ULL << 41,
	PERF_CONTEXT_NOWHERE = 1ULL << 42,
};

/* The same as an enum of four bytes here. */
enum perf_callchain_context___narrow {
	PERF_CONTEXT_KERNEL = 5,
};

enum scx_enq_flags {
	SCX_ENQ_WAKEUP = 5,
	SCX_ENQ_PREEMPT = 1ULL << 50,
	SCX_ENQ_LAST = 1ULL << 51,
};

enum no_such_enum {
	NO_SUCH_VALUE = 3,
};

/* Kinds that are not the kernel's: types and fields of these never match. */
union list_head {
	int next;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct hlist_node {
	struct hlist_node **pprev, *next;
};

struct upid {
	struct pid_namespace *ns;
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

struct pid___bounded {
	struct upid numbers[4];
};

struct pid___one {
	struct upid numbers[1];
};

struct rlimit {
	unsigned long rlim_max, rlim_cur;
};

struct signal_struct {
	unsigned int flags;
	atomic_t live;
	struct rlimit rlim[16];
	union {
		int nr_threads;
		/* Anonymous here, not in the kernel. */
		struct {
			int group_exit_code;
		};
	};
};

struct load_weight {
	unsigned long weight;
};

struct sched_avg {
	unsigned long util_avg;
	__u64 load_sum;
};

struct sched_entity {
	struct sched_avg avg;
	struct load_weight load;
	unsigned int on_rq;
};

struct task_struct {
	char comm[16];
	unsigned long flags; /* four bytes, unsigned */
	long exit_code; /* four bytes, signed */
	short prio;
	unsigned int policy;
	int pid, tgid;
	__u64 start_boottime;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct sched_entity se;
	kuid_t loginuid;
	atomic_t usage; /* refcount_t in the kernel */
	unsigned int in_execve : 1;
	unsigned int sched_reset_on_fork : 1;
	unsigned int no_such_bit : 3;
	unsigned int no_such_field;
	int mm; /* a pointer */
	struct {
		int nothing_of_this;
	} nowhere;
	unsigned long *stack;
	unsigned int personality;
	unsigned int *exit_state; /* an int */
};

struct task_struct___old {
	volatile long state;
	__u64 real_start_time;
};

struct task_struct___new {
	unsigned int __state;
	__u64 start_boottime;
};

struct task_struct___bits {
	unsigned int pid : 3; /* no bitfield */
	unsigned int in_execve; /* a bitfield */
	__s64 sched_reset_on_fork : 1;
};

struct list_head___pair {
	void *prev;
};

struct page {
	unsigned long flags;
	struct {
		unsigned long compound_head;
		void *mapping;
	};
	atomic_t _refcount;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	void *exe_file;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	__u64 id;
};

struct kernfs_node___rcu {
	struct kernfs_node *__parent;
};

union kernfs_node_id {
	__u64 id;
};

struct kernfs_node___old {
	union kernfs_node_id id;
};

struct cgroup_subsys_state {
	void *cgroup;
	__u64 serial_nr;
};

struct css_set {
	struct cgroup_subsys_state *subsys[30];
};

struct css_set___few {
	struct cgroup_subsys_state *subsys[2];
};

struct lru_gen_folio {
	struct hlist_node folios[4][2][3]; /* struct list_head in the kernel */
	long nr_pages[4][2][3];
	unsigned long min_seq[2];
};

struct bpf_prog {
	enum bpf_prog_type type;
	__u16 pages;
	__u16 jited : 1;
};

struct bpf_prog___int {
	int type;
};

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size;
};

struct bpf_map___wrong {
	enum bpf_prog_type map_type;
};

struct bpf_map___nameless {
	enum { NAMELESS = 1 } map_type;
};

struct file {
	long long f_pos;
	unsigned int f_mode;
	void *f_inode;
};

struct file_operations {
	long (*read_iter)(void *, void *);
	int (*flush)(void *, void *);
};

struct no_such_struct {
	int field;
	struct {
		int inner;
	} nested[3];
	int bits : 3;
};

struct iov_iter {
	bool data_source;
	unsigned long count;
	__u8 iter_type;
};

#pragma clang attribute pop

typedef int pid_t;
typedef unsigned long long sector_t;
typedef int no_such_typedef;
typedef int spinlock_t; /* a struct in the kernel */
struct work_struct {
	long data;
};
typedef void (*work_func_t)(struct work_struct *work);
typedef int (*work_func_t___wrong)(struct work_struct *work, int more);
typedef struct list_head___pair list_pair_t;

#endif
