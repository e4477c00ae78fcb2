/* SPDX-License-Identifier: GPL-2.0-only */
/* What user space decides before loading, and while the programs run. maps.bpf.c defines it. */
#ifndef TETRAPY_SETTINGS_H
#define TETRAPY_SETTINGS_H

#include "flavour.h"

/* 0: unified hierarchy; otherwise the controller of a version 1 hierarchy. */
enum cgroup_source {
	CGROUP_UNIFIED = 0,
	CGROUP_MEMORY = 1,
	CGROUP_PIDS = 2,
};

SHARED const volatile enum cgroup_source cgroup_source;

/* 1: the programs ask for masks (filter_masks.h), or limit rates (rate.h), so that a process may be
 * suppressed. What is 0 the verifier takes out of the programs.
 */
SHARED const volatile __u32 use_filter_masks;
SHARED const volatile __u64 rate_events; /* of a cgroup in an interval; 0: no limit */
SHARED const volatile __u64 rate_interval; /* ns */

/* 1: exec events have an environment, in records of their own. */
SHARED const volatile __u32 want_env;

/* 1: exec events tell the file that was executed where it is not what the path says. */
SHARED const volatile __u32 want_file;

/* 1: exec events have a struct exec_context. */
SHARED const volatile __u32 want_context;

/* How many gates lead to each program (gates.h). 0: the programs are attached themselves, and
 * nothing else enters a CPU that is inside of one.
 */
SHARED const volatile __u32 gates;

/* 1: the programs that loop by bpf_loop() are loaded, in place of those that do without. */
SHARED const volatile __u32 use_loops;

/* How a loop is made. */
enum loop_kind {
	LOOP_BOUNDED = 0, /* the verifier walks each turn, and a start waits for it */
	LOOP_BY_HELPER =
		1, /* bpf_loop(), since Linux 5.17: the verifier walks the body about once */
};

#if LINUX_4_19
#define cgroup_source VALUE_OF(cgroup_source)
#define use_filter_masks VALUE_OF(use_filter_masks)
#define rate_events VALUE_OF(rate_events)
#define rate_interval VALUE_OF(rate_interval)
#define want_env VALUE_OF(want_env)
#define want_file VALUE_OF(want_file)
#define want_context VALUE_OF(want_context)
#define gates 0 /* of kernels that take another flavour */
#else
/* Set while user space reads procfs: forks are reported at once. */
SHARED volatile __u32 eager_forks;
#endif

#endif
