/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the flavours of an object differ in. Sources are compiled for each (tools/bpf_objects.py),
 * and the kernel is asked which it takes.
 *
 * EVENTS_RINGBUF=1: Linux 5.8, which has ring buffers, and a clock that counts suspended time.
 * EVENTS_RINGBUF=0: Linux 5.4: perf buffers, and a clock that does not.
 * LINUX_4_19=1, with the latter: Linux 4.18, which has neither global data (5.2) nor loops (5.3),
 * takes 4,096 instructions a program, and walks 131,072 of them at most.
 */
#ifndef TETRAPY_FLAVOUR_H
#define TETRAPY_FLAVOUR_H

#ifndef SHARED
#define SHARED extern
#endif

#ifndef LINUX_4_19
#define LINUX_4_19 0
#endif

/* A number that is subtracted from all ones, so that the compiler would make an XOR of it, of which
 * verifiers before Linux 5.10 know no bounds. A mask has to come behind.
 */
#if EVENTS_RINGBUF
#define KEEP_BOUNDS(number)
#else
#define KEEP_BOUNDS(number) barrier_var(number)
#endif

/* A pointer that is compared with 0 again: the compiler would keep the first answer on the stack,
 * from where it tells verifiers before Linux 5.12 nothing.
 */
#if EVENTS_RINGBUF
#define COMPARE_AGAIN(pointer)
#else
#define COMPARE_AGAIN(pointer) barrier_var(pointer)
#endif

#if LINUX_4_19

/* In front of a loop: each of its turns is written out. */
#define TURN_BY_TURN _Pragma("clang loop unroll(full)")

/* Of a constant in .rodata, for whose address user space puts its value (abi/constants.py). The
 * compiler must not conclude anything from its being an address.
 */
#define VALUE_OF(constant)                                      \
	({                                                      \
		unsigned long value = (unsigned long)&constant; \
		asm("" : "+r"(value));                          \
		(typeof(constant))value;                        \
	})

/* What both sides change while the programs run. */
struct variables {
	__u64 first_process; /* see host.h */
	__u64 drains; /* see share.h */
	__u32 eager_forks; /* see settings.h */
	__u32 __pad;
};

#include "variables.h"

#define READ_VARIABLE(name)                                          \
	({                                                           \
		volatile struct variables *found = find_variables(); \
		found ? found->name : 0;                             \
	})
#define WRITE_VARIABLE(name, value)                                  \
	do {                                                         \
		volatile struct variables *found = find_variables(); \
		if (found)                                           \
			found->name = (__u64)(value);                \
	} while (0)

#else

#define TURN_BY_TURN
#define READ_VARIABLE(name) (*(volatile typeof(name) *)&(name))
#define WRITE_VARIABLE(name, value) (name = (value))

#endif
#endif
