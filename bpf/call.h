/* SPDX-License-Identifier: GPL-2.0-only */
/* A call of a hooked function, or a tracepoint that is hit: what the programs know of it on their
 * way from the hook to the record.
 */
#ifndef TETRAPY_CALL_H
#define TETRAPY_CALL_H

#include "hook.h"
#include "process.h"
#include "scratch.h"
#include "task.h"
#include "value_records.h"

#define CALL_ARGUMENTS 8 /* a power of two: six at most are filled in */

/* The most bytes of a text. Five such values have room: the sixth may begin at CALL_DATA_MOST. A
 * map's value on each CPU has 32 KiB at most, of which a path in the making needs a part.
 */
#define TEXT_LIMIT 4096
#define CALL_DATA_MOST (5 * (sizeof(struct call_value) + TEXT_LIMIT) + 128)
#define CALL_DATA_SIZE (CALL_DATA_MOST + sizeof(struct call_value) + TEXT_LIMIT + 1 + SET_DATA)

/* Calls that a CPU may be at, of one type of programs: see claim_call(). */
#define CALL_PLACES 3

/* 1: the programs serve simple hooks only, whose numbers are arguments and fields as they are, no
 * more than SIMPLE_VALUES, and which compare no more than SIMPLE_FILTERS times, with ranges. What
 * else there is the verifier takes out: it takes more than half of the time that programs at hooks
 * are loaded in.
 */
SHARED const volatile __u32 simple_hooks;

/* Among the selectors of a call that is kept until it returns: its record was not sent, so that
 * only actions wait for the return.
 */
#define UNREPORTED (1U << 31)

/* What goes on where another program leaves off; each type of programs has an array of them. */
enum call_step {
	STEP_VALUES = 0, /* reads values, and sends the record after the last one */
	STEP_PATH = 1, /* reads the path of a file */
	STEP_PATH_DEEP = 2, /* goes on with it */
	STEP_MATCH = 3, /* evaluates the filters that need more than numbers */
	/* Loaded where a hook needs them. */
	STEP_PACKET = 4, /* looks into packets */
	STEP_STRUCTURE = 5, /* reads a structure of the kernel */
	STEP_STACK = 6, /* adds stacks to a call that is reported */
	STEP_VECTOR = 7, /* reads what vectors of buffers point to */
	STEP_BULK = 8, /* sends what has no room in one record */
	STEP_SEARCH = 9, /* evaluates the filters that look into texts */
	STEP_RETURN = 10, /* makes numbers of what is returned, for its filters */
	STEP_ACT = 11, /* acts on the process, before anything is reported */
	STEP_SET = 12, /* writes into its memory */
	STEP_BEGIN = 13, /* the program at the hook: begins a call again that lost its place */
	STEP_TRACK = 14, /* before STEP_ACT: notes whose sockets are, and finds it */
	CALL_STEPS = 15,
};

/* What addresses are looked up by: the beginning of a set's key. IPv4 ones that are written as IPv6
 * count as IPv4.
 */
struct address_key {
	__u8 version; /* 4 or 6; 0: no address */
	__u8 bytes[16];
	__u8 __pad[7];
};

enum whose_path {
	ANYBODYS_PATH = 0, /* nobody asks */
	HOSTS_PATH = 1, /* if it ends at the root */
	FOREIGN_PATH = 2,
};

struct call {
	__u32 owner; /* thread id of whose call it is, plus one; 0: nobody's */
	__u32 may_lose_place; /* 1: the thread is between two programs: see go_on() */
	struct call_event event; /* followed by data[] */
	__u8 data[CALL_DATA_SIZE];
	struct path_walk walk;
	struct set_key key;
	struct rate_key rate;
	__u64 arguments[CALL_ARGUMENTS];
	__u64 returned;
	__u64 numbers[CALL_NUMBERS]; /* enum call_number; of a text or a file its pointer */
	__u64 results[OPERATIONS]; /* by enum operation, see call_operations.h */
	struct call_socket sockets[HOOK_SOCKETS];
	struct address_key addresses[2 * HOOK_SOCKETS]; /* source and destination of each */
	__u32 text_at[HOOK_VALUES]; /* where in data[] the bytes of a value begin */
	__u32 text_size[HOOK_VALUES];
	__u32 slot; /* of `hooks` */
	__u32 selectors; /* bits of those that have not failed yet */
	__u32 next; /* value to read */
	__u32 filtered; /* 1: values that filters ask for are read, 0: the others */
	__u32 filtered_end; /* number behind the last one that filters ask for */
	__u32 at_return; /* 1: the function returns */
	__u32 used; /* bytes of data[] */
	__u32 files; /* bits of the values that are files, whose paths were read */
	__u32 unreadable; /* bits of the numbers that could not be read */
	__u32 unknown_paths; /* bits of the paths that were not read to the root */
	__u32 foreign_paths; /* ... and of those that are not the host's, where that is asked */
	__u32 whose; /* enum whose_path, of the one that is walked */
	__u32 has_done; /* 1: something that is not to be done twice */
	struct dentry *entry; /* of the file whose path is walked */
	struct dentry *entries[HOOK_VALUES]; /* ... and of those of `files` */
	const void *vector_at; /* the next buffer of a vector */
	__u64 vector_count; /* of buffers that are left */
	__u64 vector_skip; /* bytes of a vector that are passed over */
	__u64 vector_left; /* ... and that are still to be read */
	__u64 vector_size; /* of all that was there */
	__u64 vector_read;
	__u64 vector_next; /* bytes that are read now */
	__u64 bulk_at; /* bytes of the bulk value that have left */
	__u64 search_state; /* of a comparison with long texts: what the bytes before were */
	__u32 texts; /* number of the first filter of texts */
	__u32 texts_end;
	__u32 search; /* ... of the next one that looks into a text */
	__u32 search_end;
	__u32 search_at; /* bytes of the text that it has looked at */
	__u32 spare_steps; /* programs that may still follow one another for what is long */
	__u32 held; /* 1: a filter that is joined with the next one holds */
	__u32 unknown_workload; /* 1: user space decides for whom it is; nobody is acted on */
	__s64 verdict; /* what the program returns, where the kernel asks for it */
};

/* Addresses of user space have no sign, on all machines that tetrapy knows. */
static __always_inline int is_user(const void *pointer)
{
	return (__s64)pointer >= 0;
}

static __always_inline struct hook *find_hook(__u32 slot)
{
	void *map = bpf_map_lookup_elem(&hooks, &slot);
	__u32 zero = 0;

	return map ? bpf_map_lookup_elem(map, &zero) : 0;
}

static __always_inline struct hook_counts *find_counts(__u32 slot)
{
	__u32 block = slot / HOOK_BLOCK;
	__u32 place = slot % HOOK_BLOCK;
	void *map = bpf_map_lookup_elem(&hook_counts, &block);

	return map ? bpf_map_lookup_elem(map, &place) : 0;
}

/* Atomic: an interrupt or another task may count in the middle of it. */
static __always_inline void count_call(__u64 cookie)
{
	struct hook_counts *counts = find_counts(cookie >> 32);

	if (counts)
		__sync_fetch_and_add(&counts->counts[COUNT_CALLED], 1);
}

static __always_inline void count_for(struct hook_counts *counts, __u64 selector,
				      enum selector_count which)
{
	/* Else the compiler drops what old verifiers need. In 64 bits, so that what is compared is
	 * what is used, in one register.
	 */
	barrier_var(selector);
	if (counts && selector < HOOK_SELECTORS)
		__sync_fetch_and_add(&counts->counts[selector * SELECTOR_COUNTS + which], 1);
}

#endif
