// SPDX-License-Identifier: Apache-2.0
// The C functions that ctypes finds in the program, by name in the order of strcmp; the build
// writes linked.c of what libbpf.map and the agent's own libraries export.
#include <stddef.h>

struct linked {
	const char *name;
	void *address;
};

extern const struct linked linked[];
extern const size_t linked_count;
