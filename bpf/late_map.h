/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps that take no memory before they are needed. */
#ifndef TETRAPY_LATE_MAP_H
#define TETRAPY_LATE_MAP_H

#ifndef SHARED
#define SHARED extern
#endif

/* One map, of `struct made`: it is made when the first policy needs it. */
#define LATE_MAP(name, made)                              \
	SHARED struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); \
		__uint(max_entries, 1);                   \
		__type(key, __u32);                       \
		__array(values, struct made);             \
	} name SEC(".maps")

#endif
