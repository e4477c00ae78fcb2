/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs that go on where another one leaves off. User space puts those that it loads into their
 * places; a call of one that is not there returns.
 */
#ifndef TETRAPY_CALLS_H
#define TETRAPY_CALLS_H

#include "flavour.h"

/* The program of CALL_ON_X is called on_x. */
enum exec_call {
	CALL_ON_EXEC_DEEP = 0,
	CALL_ON_EXEC_CONTEXT = 1,
	CALL_ON_FORK_SUPPRESSED = 2,
	CALL_ON_EXEC_FILE = 3,
	CALL_ON_EXEC_FILE_DEEP = 4,
	CALL_ON_EXEC = 5,
	CALL_ON_FORK = 6,
	CALL_ON_EXIT = 7,
#if LINUX_4_19
	CALL_ON_EXEC_REST = 8,
	CALL_ON_EXEC_END = 9,
#else
	CALL_ON_EXEC_LOOP = 8,
	CALL_ON_EXEC_FILE_LOOP = 9,
#endif
	EXEC_CALLS = 10,
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, EXEC_CALLS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} exec_calls SEC(".maps");

#endif
