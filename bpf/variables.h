/* SPDX-License-Identifier: GPL-2.0-only */
/* Where an object's `struct variables` is, which user space and programs share: in memory that both
 * map, or, before Linux 5.2, in an array that is asked for it.
 */
#ifndef TETRAPY_VARIABLES_H
#define TETRAPY_VARIABLES_H

#ifndef SHARED
#define SHARED extern
#endif

#if LINUX_4_19
SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct variables);
} variables SEC(".maps");

static __always_inline volatile struct variables *find_variables(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&variables, &zero);
}
#else
SHARED volatile struct variables variables;

static __always_inline volatile struct variables *find_variables(void)
{
	return &variables;
}
#endif

#endif
