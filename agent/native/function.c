/* SPDX-License-Identifier: Apache-2.0 */
/* Functions in the BTF of a kernel. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "btf.h"

/* The number of a function by its name in `kernel`, which is BTF; 0 where it is not there. */
uint32_t find_function(const char *kernel, size_t size, const char *name)
{
	const struct type *type;
	uint32_t place = 0, id = 0;
	struct btf btf;

	if (!open_btf(&btf, kernel, size))
		return 0;
	while ((type = type_at(&btf, &place))) {
		id++;
		if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC && type->name < btf.strings_size &&
		    !strcmp(btf.strings + type->name, name))
			return id;
	}
	return 0;
}
